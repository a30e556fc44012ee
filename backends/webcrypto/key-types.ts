import { KEY_TYPES, KEY_TYPE_NAMES, type KeyType } from '../../src/csr/algorithms.ts'
import { subtleParameters, type SubtleParameters } from '../../src/csr/subtle-parameters.ts'

/** The parameters of a new key, which signs by the default algorithm of its type. */
export function generationParameters(keyType: KeyType): SubtleParameters {
  return subtleParameters(keyType, KEY_TYPES[keyType].signatureAlgorithms[0])
}

/** The key types that this runtime has: not every one has Ed25519 or P-521. */
export async function supportedKeyTypes(): Promise<readonly KeyType[]> {
  const supported = await Promise.all(
    KEY_TYPE_NAMES.map(async (keyType) => {
      // RSA is in every implementation, and a trial would take seconds.
      if (KEY_TYPES[keyType].family === 'rsa') return true
      const parameters = generationParameters(keyType)
      return crypto.subtle.generateKey(parameters, false, ['sign', 'verify']).then(
        () => true,
        () => false,
      )
    }),
  )
  return KEY_TYPE_NAMES.filter((_, index) => supported[index])
}
