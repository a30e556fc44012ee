import { KeystayError } from '../errors.ts'
import { bitLength, sameBytes } from './der/bytes.ts'
import { KEY_TYPES, KEY_TYPE_NAMES, type KeyFamily, type KeyType } from './algorithms.ts'
import {
  bytesOf,
  contentOf,
  decodeOctetAlignedBits,
  decodeOid,
  decodeUnsignedInteger,
  expectTag,
  readChildren,
  readSingle,
} from './der/der-reader.ts'
import {
  createDerWriter,
  finishDer,
  writeBitString,
  writeBytes,
  writeHeader,
  writeUnsignedInteger,
} from './der/der-writer.ts'

/** What a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) says, without trusting it. */
export interface PublicKeyInfo {
  /** OID of the key's algorithm, dotted. */
  readonly algorithm: string
  /** `unknown` where this version does not know the algorithm; it is shown all the same. */
  readonly family: KeyFamily | 'unknown'
  /** Modulus bits for RSA, field bits for a curve we know. */
  readonly bits?: number
  /** OID of the curve, for EC keys; absent where its parameters are spelled out. */
  readonly curve?: string
  /** The key type, where it is one that keystay creates. */
  readonly keyType?: KeyType
}

// AlgorithmIdentifiers: rsaEncryption with NULL (RFC 3279 section 2.3.1), Ed25519 (RFC 8410).
const RSA_ENCRYPTION = Uint8Array.of(
  ...[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00],
)
const EC_PUBLIC_KEY = Uint8Array.of(0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01)
const ED25519 = Uint8Array.of(0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70)

function encodeSpki(algorithm: Uint8Array, subjectPublicKey: Uint8Array): Uint8Array {
  const writer = createDerWriter(subjectPublicKey.length + 64)
  writeBitString(writer, subjectPublicKey)
  writeBytes(writer, algorithm)
  writeHeader(writer, 0x30, 0)
  return finishDer(writer)
}

/**
 * SubjectPublicKeyInfo of an RSA key.
 * @param modulus unsigned, big-endian @param exponent unsigned, big-endian
 */
export function encodeRsaPublicKey(modulus: Uint8Array, exponent: Uint8Array): Uint8Array {
  const writer = createDerWriter(modulus.length + 32)
  writeUnsignedInteger(writer, exponent)
  writeUnsignedInteger(writer, modulus)
  writeHeader(writer, 0x30, 0)
  return encodeSpki(RSA_ENCRYPTION, finishDer(writer))
}

/**
 * SubjectPublicKeyInfo of an EC or Ed25519 key from its point: uncompressed (`04 x y`) on the NIST
 * curves, 32 bytes for Ed25519. That the point lies on the curve is for the importer to check.
 * @throws {KeystayError} `public_key_invalid` where the length is not that of the curve
 */
export function encodePointPublicKey(keyType: KeyType, point: Uint8Array): Uint8Array {
  const { curveOid, coordinateBytes } = KEY_TYPES[keyType]
  const length = coordinateBytes === undefined ? 32 : 1 + 2 * coordinateBytes
  if (point.length !== length || (curveOid !== undefined && point[0] !== 0x04)) {
    throw new KeystayError(
      'public_key_invalid',
      `a ${keyType} public key is ${curveOid === undefined ? '' : 'an uncompressed point of '}${length} bytes, not ${point.length}`,
    )
  }
  if (curveOid === undefined) return encodeSpki(ED25519, point)
  const writer = createDerWriter(32)
  writeBytes(writer, curveOid)
  writeBytes(writer, EC_PUBLIC_KEY)
  writeHeader(writer, 0x30, 0)
  return encodeSpki(finishDer(writer), point)
}

function rsaBits(subjectPublicKey: Uint8Array): number {
  const [modulus, exponent] = readChildren(subjectPublicKey, readSingle(subjectPublicKey, 0x30), 2)
  expectTag(modulus, 0x02)
  expectTag(exponent, 0x02)
  return bitLength(decodeUnsignedInteger(subjectPublicKey, modulus))
}

/**
 * Reads a SubjectPublicKeyInfo strictly.
 * @throws {KeystayError} `der_invalid`
 */
export function readPublicKey(spki: Uint8Array): PublicKeyInfo {
  const [algorithm, bits] = readChildren(spki, readSingle(spki, 0x30), 2)
  expectTag(algorithm, 0x30)
  expectTag(bits, 0x03)
  const [oid, parameters] = readChildren(spki, algorithm, 2)
  expectTag(oid, 0x06)
  const name = decodeOid(spki, oid)
  const subjectPublicKey = decodeOctetAlignedBits(spki, bits)
  if (sameBytes(bytesOf(spki, oid), RSA_ENCRYPTION.subarray(2, 13))) {
    const size = rsaBits(subjectPublicKey)
    const keyType = KEY_TYPE_NAMES.find(
      (type) => KEY_TYPES[type].family === 'rsa' && KEY_TYPES[type].bits === size,
    )
    return { algorithm: name, family: 'rsa', bits: size, ...(keyType && { keyType }) }
  }
  if (sameBytes(bytesOf(spki, oid), EC_PUBLIC_KEY)) {
    // Explicit curve parameters (X9.62): shown as a curve without a name, and not used.
    if (parameters?.tag === 0x30) return { algorithm: name, family: 'ec' }
    expectTag(parameters, 0x06)
    const curve = bytesOf(spki, parameters)
    const keyType = KEY_TYPE_NAMES.find((type) => sameBytes(KEY_TYPES[type].curveOid, curve))
    return {
      algorithm: name,
      family: 'ec',
      curve: decodeOid(spki, parameters),
      ...(keyType && { keyType, bits: KEY_TYPES[keyType].bits }),
    }
  }
  if (sameBytes(contentOf(spki, algorithm), ED25519.subarray(2))) {
    return { algorithm: name, family: 'ed25519', bits: 256, keyType: 'ed25519' }
  }
  return { algorithm: name, family: 'unknown' }
}
