import { KeystayError } from '../errors.ts'

/** The kinds of key that keystay creates. RSA by modulus bits, EC by NIST curve. */
export type KeyType = 'rsa2048' | 'rsa3072' | 'rsa4096' | 'p256v1' | 'p384' | 'p521' | 'ed25519'

/** How a request is signed. PSS salts are as long as the hash (RFC 4055 section 3.1). */
export type SignatureAlgorithm =
  | 'rsa-pkcs1-sha256'
  | 'rsa-pkcs1-sha384'
  | 'rsa-pkcs1-sha512'
  | 'rsa-pss-sha256'
  | 'rsa-pss-sha384'
  | 'rsa-pss-sha512'
  | 'ecdsa-sha256'
  | 'ecdsa-sha384'
  | 'ecdsa-sha512'
  | 'ed25519'

/** A hash by its WebCrypto name. */
export type HashName = 'SHA-256' | 'SHA-384' | 'SHA-512'

/** What sort of mathematics a key belongs to. */
export type KeyFamily = 'rsa' | 'ec' | 'ed25519'

/** All that the rest of the code needs to know of a key type. */
export interface KeyTypeFacts {
  readonly family: KeyFamily
  /** Modulus bits for RSA, field bits for EC. */
  readonly bits: number
  /** The curve's WebCrypto name, for EC keys. */
  readonly namedCurve?: 'P-256' | 'P-384' | 'P-521'
  /** DER of `namedCurve` as CKA_EC_PARAMS and SubjectPublicKeyInfo want it, for EC keys. */
  readonly curveOid?: Uint8Array
  /** Bytes of one coordinate and of one half of a raw signature, for EC keys. */
  readonly coordinateBytes?: number
  /** What may sign with it; the first is the default and the one whose hash fits the key. */
  readonly signatureAlgorithms: readonly [SignatureAlgorithm, ...SignatureAlgorithm[]]
}

/** All that the rest of the code needs to know of a signature algorithm. */
export interface SignatureAlgorithmFacts {
  readonly family: KeyFamily
  readonly scheme: 'rsa-pkcs1' | 'rsa-pss' | 'ecdsa' | 'eddsa'
  /** Absent where the algorithm takes the message itself (Ed25519, RFC 8032). */
  readonly hash?: HashName
  /** Bytes of the digest, and of the salt of a PSS signature. */
  readonly hashBytes?: number
  /** The name that RFC 3279, 4055, 5758 or 8410 gives it. */
  readonly x509Name: string
  /** DER of the AlgorithmIdentifier, parameters as the RFC demands them. */
  readonly identifier: Uint8Array
}

const RSA_ALGORITHMS = [
  'rsa-pkcs1-sha256',
  'rsa-pkcs1-sha384',
  'rsa-pkcs1-sha512',
  'rsa-pss-sha256',
  'rsa-pss-sha384',
  'rsa-pss-sha512',
] as const

/** DER from its hexadecimal form; white space is for the reader. */
function der(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/[0-9a-f]{2}/g) ?? [], (byte) => Number.parseInt(byte, 16))
}

/** A lookup table without a prototype: a name from outside can find nothing inherited. */
function table<T extends object>(entries: T): Readonly<T> {
  return Object.freeze(Object.assign(Object.create(null) as object, entries))
}

/** The facts of every key type, by name. */
export const KEY_TYPES: Readonly<Record<KeyType, KeyTypeFacts>> = table<
  Record<KeyType, KeyTypeFacts>
>({
  rsa2048: { family: 'rsa', bits: 2048, signatureAlgorithms: RSA_ALGORITHMS },
  rsa3072: { family: 'rsa', bits: 3072, signatureAlgorithms: RSA_ALGORITHMS },
  rsa4096: { family: 'rsa', bits: 4096, signatureAlgorithms: RSA_ALGORITHMS },
  p256v1: {
    family: 'ec',
    bits: 256,
    namedCurve: 'P-256',
    curveOid: der('06 08 2a 86 48 ce 3d 03 01 07'),
    coordinateBytes: 32,
    signatureAlgorithms: ['ecdsa-sha256', 'ecdsa-sha384', 'ecdsa-sha512'],
  },
  p384: {
    family: 'ec',
    bits: 384,
    namedCurve: 'P-384',
    curveOid: der('06 05 2b 81 04 00 22'),
    coordinateBytes: 48,
    signatureAlgorithms: ['ecdsa-sha384', 'ecdsa-sha256', 'ecdsa-sha512'],
  },
  p521: {
    family: 'ec',
    bits: 521,
    namedCurve: 'P-521',
    curveOid: der('06 05 2b 81 04 00 23'),
    coordinateBytes: 66,
    signatureAlgorithms: ['ecdsa-sha512', 'ecdsa-sha256', 'ecdsa-sha384'],
  },
  ed25519: { family: 'ed25519', bits: 256, signatureAlgorithms: ['ed25519'] },
})

function pkcs1(bits: 256 | 384 | 512, arc: string): SignatureAlgorithmFacts {
  return {
    family: 'rsa',
    scheme: 'rsa-pkcs1',
    hash: `SHA-${bits}`,
    hashBytes: bits / 8,
    x509Name: `sha${bits}WithRSAEncryption`,
    // RFC 4055 section 5: the parameters are NULL, not absent.
    identifier: der(`30 0d 06 09 2a 86 48 86 f7 0d 01 01 ${arc} 05 00`),
  }
}

function pss(bits: 256 | 384 | 512, arc: string, saltBytes: string): SignatureAlgorithmFacts {
  const hash = `30 0d 06 09 60 86 48 01 65 03 04 02 ${arc} 05 00`
  return {
    family: 'rsa',
    scheme: 'rsa-pss',
    hash: `SHA-${bits}`,
    hashBytes: bits / 8,
    x509Name: 'rsassaPss',
    // RFC 4055 section 3.1: hash, MGF1 with the same hash, salt length; the trailer is the default.
    identifier: der(
      `30 41 06 09 2a 86 48 86 f7 0d 01 01 0a 30 34 a0 0f ${hash}` +
        `a1 1c 30 1a 06 09 2a 86 48 86 f7 0d 01 01 08 ${hash} a2 03 02 01 ${saltBytes}`,
    ),
  }
}

function ecdsa(bits: 256 | 384 | 512, arc: string): SignatureAlgorithmFacts {
  return {
    family: 'ec',
    scheme: 'ecdsa',
    hash: `SHA-${bits}`,
    hashBytes: bits / 8,
    x509Name: `ecdsa-with-SHA${bits}`,
    // RFC 5758 section 3.2: the parameters are absent.
    identifier: der(`30 0a 06 08 2a 86 48 ce 3d 04 03 ${arc}`),
  }
}

/** The facts of every signature algorithm, by name. */
export const SIGNATURE_ALGORITHMS: Readonly<Record<SignatureAlgorithm, SignatureAlgorithmFacts>> =
  table<Record<SignatureAlgorithm, SignatureAlgorithmFacts>>({
    'rsa-pkcs1-sha256': pkcs1(256, '0b'),
    'rsa-pkcs1-sha384': pkcs1(384, '0c'),
    'rsa-pkcs1-sha512': pkcs1(512, '0d'),
    'rsa-pss-sha256': pss(256, '01', '20'),
    'rsa-pss-sha384': pss(384, '02', '30'),
    'rsa-pss-sha512': pss(512, '03', '40'),
    'ecdsa-sha256': ecdsa(256, '02'),
    'ecdsa-sha384': ecdsa(384, '03'),
    'ecdsa-sha512': ecdsa(512, '04'),
    // RFC 8410 section 3: the parameters are absent.
    ed25519: {
      family: 'ed25519',
      scheme: 'eddsa',
      x509Name: 'Ed25519',
      identifier: der('30 05 06 03 2b 65 70'),
    },
  })

/** Every key type, in the order in which they are shown. */
export const KEY_TYPE_NAMES: readonly KeyType[] = Object.keys(KEY_TYPES) as KeyType[]

/** Every signature algorithm, in the order in which they are shown. */
export const SIGNATURE_ALGORITHM_NAMES: readonly SignatureAlgorithm[] = Object.keys(
  SIGNATURE_ALGORITHMS,
) as SignatureAlgorithm[]

/**
 * The facts of a key type named by a person or a file.
 * @throws {KeystayError} `key_type_unknown`
 */
export function keyTypeFacts(keyType: string): KeyTypeFacts {
  const facts = KEY_TYPES[keyType as KeyType] as KeyTypeFacts | undefined
  if (facts === undefined) {
    throw new KeystayError(
      'key_type_unknown',
      `key type ${JSON.stringify(keyType)} is not known; use one of ${KEY_TYPE_NAMES.join(', ')}`,
      { pointer: '/key_type' },
    )
  }
  return facts
}

/**
 * The signature algorithm to use with a key: the one asked for, or the key type's default.
 * @throws {KeystayError} `key_type_unknown`, `signature_algorithm_unknown`,
 *   `signature_algorithm_mismatch` (an algorithm of another family)
 */
export function chooseSignatureAlgorithm(
  keyType: KeyType,
  asked: SignatureAlgorithm | undefined,
): SignatureAlgorithm {
  const { signatureAlgorithms } = keyTypeFacts(keyType)
  if (asked === undefined) return signatureAlgorithms[0]
  if (signatureAlgorithms.includes(asked)) return asked
  const known = asked in SIGNATURE_ALGORITHMS
  throw new KeystayError(
    known ? 'signature_algorithm_mismatch' : 'signature_algorithm_unknown',
    `signature algorithm ${JSON.stringify(asked)} ${known ? `cannot be used with a ${keyType} key` : 'is not known'}; use one of ${signatureAlgorithms.join(', ')}`,
    { pointer: '/signature_algorithm' },
  )
}
