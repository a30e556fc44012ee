import {
  constants,
  createECDH,
  createHash,
  generateKeyPair,
  privateEncrypt,
  randomBytes,
  sign,
  type KeyObject,
} from 'node:crypto'
import { promisify } from 'node:util'
import { encodeEcdsaSignature } from '../../csr/signature-value.ts'
import { KmsEmulatorError } from './errors.ts'

/** A key pair in the memory of this process. */
export interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

/** One value of KeySpec that has a key pair. ML-DSA would be further entries of {@link KEY_SPECS}. */
export interface KeySpec {
  readonly signingAlgorithms: readonly string[]
  /** Values of KeyUsage that KMS accepts for it. */
  readonly usages: readonly string[]
  generate(): Promise<KeyPair>
  /** Signs what the request says, whose length has been checked. */
  sign(key: KeyObject, algorithm: SigningAlgorithm, message: Uint8Array, isDigest: boolean): Buffer
}

/** One value of SigningAlgorithm. */
export interface SigningAlgorithm {
  readonly name: string
  readonly hash: 'sha256' | 'sha384' | 'sha512'
  readonly digestBytes: number
  /** Which values of MessageType it takes. */
  readonly messageTypes: readonly string[]
}

const BOTH = ['RAW', 'DIGEST']
const generate = promisify(generateKeyPair)

function algorithm(prefix: string, bits: 256 | 384 | 512): [string, SigningAlgorithm] {
  const name = `${prefix}_SHA_${bits}`
  return [name, { name, hash: `sha${bits}`, digestBytes: bits / 8, messageTypes: BOTH }]
}

/** Every signing algorithm, by name. Source: KMS API reference, Sign. */
export const SIGNING_ALGORITHMS: ReadonlyMap<string, SigningAlgorithm> = new Map([
  ...(['RSASSA_PKCS1_V1_5', 'RSASSA_PSS', 'ECDSA'] as const).flatMap((prefix) =>
    ([256, 384, 512] as const).map((bits) => algorithm(prefix, bits)),
  ),
  [
    'ED25519_SHA_512',
    { name: 'ED25519_SHA_512', hash: 'sha512', digestBytes: 64, messageTypes: ['RAW'] },
  ],
])

function digestOf(algorithm: SigningAlgorithm, message: Uint8Array, isDigest: boolean): Uint8Array {
  return isDigest ? message : createHash(algorithm.hash).update(message).digest()
}

/** DER of DigestInfo up to the digest, for the SHA-2 hashes (RFC 8017 section 9.2, note 1). */
function digestInfoPrefix({ hash, digestBytes }: SigningAlgorithm): Buffer {
  const arc = { sha256: 1, sha384: 2, sha512: 3 }[hash]
  const oid = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc]
  return Buffer.from([0x30, 17 + digestBytes, 0x30, 13, ...oid, 0x05, 0, 0x04, digestBytes])
}

function mgf1(hash: string, seed: Uint8Array, length: number): Buffer {
  const blocks: Buffer[] = []
  for (let bytes = 0; bytes < length; bytes += blocks.at(-1)?.length ?? 0) {
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(blocks.length)
    blocks.push(createHash(hash).update(seed).update(counter).digest())
  }
  return Buffer.concat(blocks).subarray(0, length)
}

/** EMSA-PSS (RFC 8017 section 9.1.1) with a salt as long as the hash, as KMS does it. */
function encodePss({ hash, digestBytes }: SigningAlgorithm, digest: Uint8Array, bits: number) {
  const length = bits / 8
  const salt = randomBytes(digestBytes)
  const h = createHash(hash).update(Buffer.alloc(8)).update(digest).update(salt).digest()
  const db = Buffer.alloc(length - digestBytes - 1)
  db.set(salt, db.length - digestBytes)
  db[db.length - digestBytes - 1] = 1
  const mask = mgf1(hash, h, db.length)
  for (const [index, byte] of mask.entries()) db[index] = (db[index] ?? 0) ^ byte
  // The encoded message has one bit less than the modulus.
  db[0] = (db[0] ?? 0) & 0x7f
  return Buffer.concat([db, h, Buffer.of(0xbc)])
}

function rsa(bits: number): [string, KeySpec] {
  const spec: KeySpec = {
    signingAlgorithms: [...SIGNING_ALGORITHMS.keys()].filter((name) => name.startsWith('RSASSA')),
    usages: ['SIGN_VERIFY', 'ENCRYPT_DECRYPT'],
    generate: () => generate('rsa', { modulusLength: bits }),
    sign(key, algorithm, message, isDigest) {
      const digest = digestOf(algorithm, message, isDigest)
      return algorithm.name.startsWith('RSASSA_PSS')
        ? privateEncrypt(
            { key, padding: constants.RSA_NO_PADDING },
            encodePss(algorithm, digest, bits),
          )
        : privateEncrypt(key, Buffer.concat([digestInfoPrefix(algorithm), digest]))
    },
  }
  return [`RSA_${bits}`, spec]
}

const toInteger = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)

function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [value, modulus, 1n, 0n]
  while (a > 1n) {
    const quotient = a / b
    ;[a, b, x, y] = [b, a % b, y, x - quotient * y]
  }
  return ((x % modulus) + modulus) % modulus
}

/**
 * ECDSA over a digest (FIPS 186-5 section 6.4.1): node:crypto always hashes, so the point
 * multiplication is borrowed from ECDH. Not constant in time: for tests only.
 */
function signEcdsaDigest(key: KeyObject, curve: string, order: bigint, digest: Uint8Array): Buffer {
  const bits = order.toString(2).length
  const width = Math.ceil(bits / 8)
  const secret = toInteger(Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url'))
  const e = toInteger(digest) >> BigInt(Math.max(0, digest.length * 8 - bits))
  for (;;) {
    const ephemeral = createECDH(curve)
    const point = ephemeral.generateKeys()
    const r = toInteger(point.subarray(1, 1 + (point.length - 1) / 2)) % order
    const k = toInteger(ephemeral.getPrivateKey())
    const s = (inverse(k, order) * (e + r * secret)) % order
    if (r === 0n || s === 0n) continue
    const raw = [r, s].map((value) => value.toString(16).padStart(2 * width, '0')).join('')
    return Buffer.from(encodeEcdsaSignature(Buffer.from(raw, 'hex'), width))
  }
}

function ec(name: string, curve: string, bits: 256 | 384 | 512, order: bigint): [string, KeySpec] {
  const spec: KeySpec = {
    signingAlgorithms: [`ECDSA_SHA_${bits}`],
    usages: ['SIGN_VERIFY', 'KEY_AGREEMENT'],
    generate: () => generate('ec', { namedCurve: curve }),
    sign: (key, algorithm, message, isDigest) =>
      signEcdsaDigest(key, curve, order, digestOf(algorithm, message, isDigest)),
  }
  return [name, spec]
}

// Orders of the base points: FIPS 186-4 appendix D.1.2, SEC 2 section 2.4.1.
const P256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const P384 = (1n << 384n) - 0x389cb27e0bc8d220a7e5f24db74f58851313e695333ad68dn
const P521 = (1n << 521n) - 0x5ae79787c40d069948033feb708f65a2fc44a36477663b851449048e16ec79bf7n
const SECP256K1 = (1n << 256n) - 0x14551231950b75fc4402da1732fc9bebfn

/** Every KeySpec that has a key pair, by name. Source: KMS API reference, CreateKey. */
export const KEY_SPECS: ReadonlyMap<string, KeySpec> = new Map([
  rsa(2048),
  rsa(3072),
  rsa(4096),
  ec('ECC_NIST_P256', 'prime256v1', 256, P256),
  ec('ECC_NIST_P384', 'secp384r1', 384, P384),
  ec('ECC_NIST_P521', 'secp521r1', 512, P521),
  ec('ECC_SECG_P256K1', 'secp256k1', 256, SECP256K1),
  [
    'ECC_NIST_EDWARDS25519',
    {
      signingAlgorithms: ['ED25519_SHA_512'],
      usages: ['SIGN_VERIFY'],
      generate: () => generate('ed25519'),
      sign: (key: KeyObject, _algorithm: SigningAlgorithm, message: Uint8Array) =>
        sign(null, message, key),
    },
  ],
])

/** The message of a Sign request, checked as strictly as KMS does. */
export function checkMessage(
  algorithm: SigningAlgorithm,
  message: Uint8Array,
  messageType: string,
): void {
  if (message.length < 1 || message.length > 4096) {
    throw new KmsEmulatorError(
      'ValidationException',
      `Value at 'message' failed to satisfy constraint: Member must have length between 1 and 4096`,
    )
  }
  if (!algorithm.messageTypes.includes(messageType)) {
    throw new KmsEmulatorError(
      'ValidationException',
      `MessageType ${messageType} is not valid for the signing algorithm ${algorithm.name}`,
    )
  }
  if (messageType === 'DIGEST' && message.length !== algorithm.digestBytes) {
    throw new KmsEmulatorError(
      'ValidationException',
      `Digest is invalid length for algorithm ${algorithm.name}.`,
    )
  }
}
