import {
  chooseSignatureAlgorithm,
  KEY_TYPE_NAMES,
  SIGNATURE_ALGORITHM_NAMES,
  type KeyType,
  type SignatureAlgorithm,
} from '../../src/csr/algorithms.ts'
import { KeystayError } from '../../src/errors.ts'
import type { BackendCapabilities } from '../../src/key/backend.ts'

type KmsKeySpec =
  `RSA_${2048 | 3072 | 4096}` | `ECC_NIST_P${256 | 384 | 521}` | 'ECC_NIST_EDWARDS25519'

type KmsSigningAlgorithm =
  | `RSASSA_${'PKCS1_V1_5' | 'PSS'}_SHA_${256 | 384 | 512}`
  | `ECDSA_SHA_${256 | 384 | 512}`
  | 'ED25519_SHA_512'

interface KmsKeyTypeFacts {
  readonly keySpec: KmsKeySpec
  /** What KMS signs with such a key; it allows each NIST curve its own hash only. */
  readonly signing: Partial<Readonly<Record<SignatureAlgorithm, KmsSigningAlgorithm>>>
}

/** Bytes of a message that Sign takes as it is; longer ones are hashed here. */
export const MAX_RAW_BYTES = 4096

// KMS salts PSS with as many bytes as the hash has, which is what our algorithms say too.
const RSA_SIGNING = {
  'rsa-pkcs1-sha256': 'RSASSA_PKCS1_V1_5_SHA_256',
  'rsa-pkcs1-sha384': 'RSASSA_PKCS1_V1_5_SHA_384',
  'rsa-pkcs1-sha512': 'RSASSA_PKCS1_V1_5_SHA_512',
  'rsa-pss-sha256': 'RSASSA_PSS_SHA_256',
  'rsa-pss-sha384': 'RSASSA_PSS_SHA_384',
  'rsa-pss-sha512': 'RSASSA_PSS_SHA_512',
} as const

/** All that KMS calls differently, by key type. Source: KMS API reference, CreateKey and Sign. */
const KMS_KEY_TYPES: Readonly<Record<KeyType, KmsKeyTypeFacts>> = {
  rsa2048: { keySpec: 'RSA_2048', signing: RSA_SIGNING },
  rsa3072: { keySpec: 'RSA_3072', signing: RSA_SIGNING },
  rsa4096: { keySpec: 'RSA_4096', signing: RSA_SIGNING },
  p256v1: { keySpec: 'ECC_NIST_P256', signing: { 'ecdsa-sha256': 'ECDSA_SHA_256' } },
  p384: { keySpec: 'ECC_NIST_P384', signing: { 'ecdsa-sha384': 'ECDSA_SHA_384' } },
  p521: { keySpec: 'ECC_NIST_P521', signing: { 'ecdsa-sha512': 'ECDSA_SHA_512' } },
  // Not ED25519_PH_SHA_512: X.509 knows pure Ed25519 only (RFC 8410 section 3).
  ed25519: { keySpec: 'ECC_NIST_EDWARDS25519', signing: { ed25519: 'ED25519_SHA_512' } },
}

/** The KeySpec to create a key with. */
export function keySpecOf(keyType: KeyType): KmsKeySpec {
  return KMS_KEY_TYPES[keyType].keySpec
}

/** The key type of a KeySpec, where it is one that keystay uses. */
export function keyTypeOf(keySpec: string | undefined): KeyType | undefined {
  return KEY_TYPE_NAMES.find((keyType) => KMS_KEY_TYPES[keyType].keySpec === keySpec)
}

/** What KMS signs with each key type. */
export const KMS_SIGNATURE_ALGORITHMS: BackendCapabilities['signatureAlgorithms'] =
  Object.fromEntries(
    KEY_TYPE_NAMES.map((keyType) => [
      keyType,
      SIGNATURE_ALGORITHM_NAMES.filter((name) => name in KMS_KEY_TYPES[keyType].signing),
    ]),
  )

/**
 * The algorithm to sign with, by both its names.
 * @throws {KeystayError} `signature_algorithm_unknown`, `signature_algorithm_mismatch`,
 *   `signature_algorithm_unsupported` (a hash that KMS does not allow on this curve)
 */
export function chooseSigningAlgorithm(
  keyType: KeyType,
  asked: SignatureAlgorithm | undefined,
): { algorithm: SignatureAlgorithm; signingAlgorithm: KmsSigningAlgorithm } {
  const algorithm = chooseSignatureAlgorithm(keyType, asked)
  const { signing } = KMS_KEY_TYPES[keyType]
  const signingAlgorithm = signing[algorithm]
  if (signingAlgorithm === undefined) {
    throw new KeystayError(
      'signature_algorithm_unsupported',
      `AWS KMS does not sign ${algorithm} with a ${keyType} key; use ${Object.keys(signing).join(', ')}`,
      { pointer: '/signature_algorithm' },
    )
  }
  return { algorithm, signingAlgorithm }
}
