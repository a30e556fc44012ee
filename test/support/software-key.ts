import { constants, generateKeyPair, sign, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import {
  KEY_TYPES,
  SIGNATURE_ALGORITHMS,
  type KeyType,
  type SignatureAlgorithm,
} from '../../src/csr/algorithms.ts'
import type { SigningKey } from '../../src/csr/signing-key.ts'

const generate = promisify(generateKeyPair) as (
  type: string,
  options: object,
) => Promise<{ publicKey: KeyObject; privateKey: KeyObject }>

/** A key in this process, generated now; signs with `node:crypto`, not with WebCrypto. */
export async function createSoftwareKey(keyType: KeyType): Promise<SigningKey> {
  const { family, bits, namedCurve, signatureAlgorithms } = KEY_TYPES[keyType]
  const { publicKey, privateKey } = await generate(family, { modulusLength: bits, namedCurve })
  return {
    keyType,
    publicKey: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
    sign: async (message, algorithm = signatureAlgorithms[0]) =>
      signWith(privateKey, message, algorithm),
  }
}

function signWith(
  privateKey: KeyObject,
  message: Uint8Array,
  algorithm: SignatureAlgorithm,
): Uint8Array {
  const { hash, hashBytes, scheme } = SIGNATURE_ALGORITHMS[algorithm]
  const padding =
    scheme === 'rsa-pss' ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING
  const pss = scheme === 'rsa-pss' ? { saltLength: hashBytes } : {}
  const key = scheme.startsWith('rsa') ? { key: privateKey, padding, ...pss } : privateKey
  return new Uint8Array(sign(hash ?? null, message, key))
}
