import { KeystayError } from '../errors.ts'
import { KEY_TYPES, SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from './algorithms.ts'
import { readPublicKey } from './public-key.ts'
import { decodeEcdsaSignature } from './signature-value.ts'
import type { SigningKey } from './signing-key.ts'
import { verificationParameters, type SubtleParameters } from './subtle-parameters.ts'

/** A public key that WebCrypto has imported for one signature algorithm. */
export interface VerificationKey {
  readonly algorithm: SignatureAlgorithm
  readonly cryptoKey: CryptoKey
  readonly parameters: SubtleParameters
  readonly coordinateBytes: number | undefined
}

/**
 * Imports a public key for verifying signatures of one algorithm.
 * @param spki SubjectPublicKeyInfo, DER
 * @throws {KeystayError} `der_invalid`, `signature_algorithm_mismatch` (another family's key),
 *   `public_key_unsupported` (a curve that keystay does not know), `public_key_invalid` (a point
 *   that is not on its curve, …), `signature_algorithm_unsupported` (by this runtime)
 */
export async function importVerificationKey(
  spki: Uint8Array,
  algorithm: SignatureAlgorithm,
): Promise<VerificationKey> {
  const { family } = SIGNATURE_ALGORITHMS[algorithm]
  const key = readPublicKey(spki)
  if (key.family !== family) {
    throw new KeystayError(
      'signature_algorithm_mismatch',
      `${algorithm} needs ${family} and the public key is of another kind (${key.algorithm})`,
    )
  }
  const { namedCurve, coordinateBytes } = key.keyType === undefined ? {} : KEY_TYPES[key.keyType]
  if (family === 'ec' && namedCurve === undefined) {
    throw new KeystayError(
      'public_key_unsupported',
      `the curve ${key.curve ?? 'of the key'} is not known; P-256, P-384 and P-521 are`,
    )
  }
  const parameters = verificationParameters(algorithm, namedCurve)
  try {
    const bytes = spki as Uint8Array<ArrayBuffer>
    const cryptoKey = await crypto.subtle.importKey('spki', bytes, parameters, false, ['verify'])
    return { algorithm, cryptoKey, parameters, coordinateBytes }
  } catch (cause) {
    throw importError(cause, algorithm)
  }
}

function importError(cause: unknown, algorithm: SignatureAlgorithm): KeystayError {
  return cause instanceof Error && cause.name === 'NotSupportedError'
    ? new KeystayError(
        'signature_algorithm_unsupported',
        `this runtime's WebCrypto cannot verify ${algorithm}`,
        { cause },
      )
    : new KeystayError(
        'public_key_invalid',
        'the public key is not a valid one: the runtime refuses to import it',
        { cause },
      )
}

/**
 * Verifies a signature value as X.509 carries it, on the runtime's thread pool.
 * @param saltLength of a PSS signature; default: that of the algorithm, the length of its hash
 * @throws {KeystayError} `signature_algorithm_unsupported` (by this runtime)
 */
export async function verifyWith(
  { algorithm, cryptoKey, parameters, coordinateBytes }: VerificationKey,
  message: Uint8Array,
  signature: Uint8Array,
  saltLength?: number,
): Promise<boolean> {
  let value = signature
  if (coordinateBytes !== undefined) {
    try {
      value = decodeEcdsaSignature(signature, coordinateBytes)
    } catch (error) {
      if (error instanceof KeystayError) return false
      throw error
    }
  }
  try {
    return await crypto.subtle.verify(
      saltLength === undefined ? parameters : { ...parameters, saltLength },
      cryptoKey,
      value as Uint8Array<ArrayBuffer>,
      message as Uint8Array<ArrayBuffer>,
    )
  } catch (cause) {
    throw new KeystayError(
      'signature_algorithm_unsupported',
      `this runtime's WebCrypto gives up on verifying ${algorithm} with this key`,
      { cause },
    )
  }
}

/**
 * Whether a signature value, as X.509 carries it, is that of the message under the public key.
 * @param spki SubjectPublicKeyInfo, DER
 * @throws {KeystayError} where the key cannot be used at all; see `importVerificationKey`
 */
export async function verifySignature(
  spki: Uint8Array,
  algorithm: SignatureAlgorithm,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  return verifyWith(await importVerificationKey(spki, algorithm), message, signature)
}

/** The public keys of signing keys, imported once for each algorithm they are used with. */
const imported = new WeakMap<SigningKey, Map<SignatureAlgorithm, Promise<VerificationKey>>>()

/**
 * The imported public key of a signing key.
 * @throws {KeystayError} `key_type_mismatch`, and what `importVerificationKey` throws
 */
export async function verificationKeyOf(
  key: SigningKey,
  algorithm: SignatureAlgorithm,
): Promise<VerificationKey> {
  const byAlgorithm = imported.get(key) ?? new Map<SignatureAlgorithm, Promise<VerificationKey>>()
  imported.set(key, byAlgorithm)
  let pending = byAlgorithm.get(algorithm)
  if (pending === undefined) {
    pending = importOwn(key, algorithm)
    byAlgorithm.set(algorithm, pending)
    // A failure is not remembered.
    pending.catch(() => byAlgorithm.delete(algorithm))
  }
  return pending
}

async function importOwn(key: SigningKey, algorithm: SignatureAlgorithm): Promise<VerificationKey> {
  const { keyType } = readPublicKey(key.publicKey)
  if (keyType !== key.keyType) {
    throw new KeystayError(
      'key_type_mismatch',
      `the key says that it is ${key.keyType}, and its public key is ${keyType ?? 'of another type'}`,
    )
  }
  return importVerificationKey(key.publicKey, algorithm)
}
