import {
  KEY_TYPES,
  KEY_TYPE_NAMES,
  type KeyType,
  type SignatureAlgorithm,
} from '../../src/csr/algorithms.ts'
import { readPublicKey } from '../../src/csr/public-key.ts'
import { subtleParameters, type SubtleParameters } from '../../src/csr/subtle-parameters.ts'
import { KeystayError } from '../../src/errors.ts'
import { checkLabel } from '../../src/key/label.ts'
import type { Sign, StoredKey } from './keyring.ts'
import { keyId, type Bytes } from './sealed-key.ts'

/** A key that the caller has already, from any runtime or provider of WebCrypto. */
export interface SuppliedKey {
  /** `findKey` finds it by this. */
  readonly label: string
  /** Usage `sign`; it need not be extractable. */
  readonly privateKey: CryptoKey
  /** Its other half, as SubjectPublicKeyInfo (DER) or as a key of the runtime. */
  readonly publicKey: CryptoKey | Uint8Array
  /** The provider that the private key belongs to. Default: the runtime itself. */
  readonly subtle?: Pick<SubtleCrypto, 'sign'>
}

function invalid(label: string, what: string): KeystayError {
  return new KeystayError(
    'crypto_key_invalid',
    `the CryptoKey supplied as ${JSON.stringify(label)} ${what}`,
  )
}

/** What the key can sign by: for RSA that was settled when the CryptoKey was made. */
function algorithmsOf(keyType: KeyType, privateKey: CryptoKey): readonly SignatureAlgorithm[] {
  const { name, hash, namedCurve }: KeyAlgorithm & Partial<RsaHashedKeyAlgorithm & EcKeyAlgorithm> =
    privateKey.algorithm
  return KEY_TYPES[keyType].signatureAlgorithms.filter((candidate) => {
    const parameters = subtleParameters(keyType, candidate)
    return (
      name === parameters.name &&
      (hash === undefined || hash.name === parameters.hash) &&
      (namedCurve === undefined || namedCurve === parameters.namedCurve)
    )
  })
}

/** Whether what the private half signs, the public half verifies. */
async function isPair(
  sign: Sign,
  publicKey: Bytes,
  parameters: SubtleParameters,
): Promise<boolean> {
  const trial = crypto.getRandomValues(new Uint8Array(32))
  const key = await crypto.subtle.importKey('spki', publicKey, parameters, true, ['verify'])
  return crypto.subtle.verify(parameters, key, await sign(trial), trial)
}

/**
 * Takes a supplied key as a stored one, after it has signed a trial message.
 * @throws {KeystayError} `label_invalid`, `crypto_key_invalid`, `public_key_unsupported`,
 *   `der_invalid`
 */
export async function acceptSuppliedKey(supplied: SuppliedKey): Promise<StoredKey> {
  const { label, privateKey, subtle = crypto.subtle } = supplied
  checkLabel(label)
  if (privateKey.type !== 'private' || !privateKey.usages.includes('sign')) {
    throw invalid(label, 'is no private key with the usage "sign"')
  }
  const publicKey = new Uint8Array(
    supplied.publicKey instanceof Uint8Array
      ? supplied.publicKey
      : await crypto.subtle.exportKey('spki', supplied.publicKey),
  )
  const { keyType, algorithm } = readPublicKey(publicKey)
  if (keyType === undefined) {
    throw new KeystayError(
      'public_key_unsupported',
      `the public key supplied as ${JSON.stringify(label)} (algorithm ${algorithm}) is of no type that keystay uses: ${KEY_TYPE_NAMES.join(', ')}`,
    )
  }
  const [first, ...others] = algorithmsOf(keyType, privateKey)
  if (first === undefined) {
    throw invalid(label, `(${privateKey.algorithm.name}) cannot sign as its ${keyType} public key`)
  }
  const open = async (chosen: SignatureAlgorithm): Promise<Sign> => {
    const parameters = subtleParameters(keyType, chosen)
    return (message) => subtle.sign(parameters, privateKey, message)
  }
  if (!(await isPair(await open(first), publicKey, subtleParameters(keyType, first)))) {
    throw invalid(label, 'does not belong to its public key: they are of two pairs')
  }
  return {
    ...{ id: await keyId(label, publicKey), label, keyType, publicKey, open },
    createdAt: undefined,
    algorithms: [first, ...others],
    storage: 'supplied by the caller',
    extractable: privateKey.extractable,
  }
}
