import { createHash } from 'node:crypto'
import {
  KEY_TYPES,
  KEY_TYPE_NAMES,
  SIGNATURE_ALGORITHMS,
  type HashName,
  type KeyType,
  type SignatureAlgorithm,
} from '../../src/csr/algorithms.ts'
import { encodeEcdsaSignature } from '../../src/csr/signature-value.ts'
import type { BackendCapabilities } from '../../src/key/backend.ts'
import { CKG, CKM } from './cryptoki.ts'
import type { Mechanism } from './driver.ts'
import type { MechanismInfo } from './operation-types.ts'

/** How a token makes one kind of signature. */
export interface SigningPlan {
  readonly mechanism: Mechanism
  /** What the device is given: the digest where it can take one, or the message. */
  readonly prepare: (message: Uint8Array) => Uint8Array
  readonly outputBytes: number
  /** The signature value as X.509 carries it. */
  readonly finish: (raw: Uint8Array) => Uint8Array
}

/** What a token offers, by mechanism number. */
export type MechanismTable = ReadonlyMap<number, MechanismInfo>

interface HashFacts {
  readonly mechanism: number
  readonly mgf: number
  /** DER of DigestInfo up to the digest (RFC 8017 section 9.2, note 1). */
  readonly digestInfo: Uint8Array
  readonly rsaPkcs: number
  readonly rsaPss: number
  readonly ecdsa: number
}

function digestInfo(hashBytes: number, arc: number): Uint8Array {
  const oid = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc, 0x05, 0x00]
  return Uint8Array.of(0x30, 0x11 + hashBytes, 0x30, 0x0d, ...oid, 0x04, hashBytes)
}

const HASHES: Readonly<Record<HashName, HashFacts>> = {
  'SHA-256': {
    mechanism: CKM.SHA256,
    mgf: CKG.MGF1_SHA256,
    digestInfo: digestInfo(32, 1),
    rsaPkcs: CKM.SHA256_RSA_PKCS,
    rsaPss: CKM.SHA256_RSA_PKCS_PSS,
    ecdsa: CKM.ECDSA_SHA256,
  },
  'SHA-384': {
    mechanism: CKM.SHA384,
    mgf: CKG.MGF1_SHA384,
    digestInfo: digestInfo(48, 2),
    rsaPkcs: CKM.SHA384_RSA_PKCS,
    rsaPss: CKM.SHA384_RSA_PKCS_PSS,
    ecdsa: CKM.ECDSA_SHA384,
  },
  'SHA-512': {
    mechanism: CKM.SHA512,
    mgf: CKG.MGF1_SHA512,
    digestInfo: digestInfo(64, 3),
    rsaPkcs: CKM.SHA512_RSA_PKCS,
    rsaPss: CKM.SHA512_RSA_PKCS_PSS,
    ecdsa: CKM.ECDSA_SHA512,
  },
}

/** CK_PARAMS_RSA_PSS of the driver. */
const PSS_PARAMETERS = 5

const asItIs = (bytes: Uint8Array): Uint8Array => bytes

function digest(hash: HashName, message: Uint8Array): Uint8Array {
  return createHash(hash).update(message).digest()
}

interface Choice {
  readonly raw: number
  readonly hashed: number
  readonly prepare: (digest: Uint8Array) => Uint8Array
}

function chooseMechanism(
  scheme: 'rsa-pkcs1' | 'rsa-pss' | 'ecdsa',
  hash: HashName,
  orderBytes: number,
): Choice {
  const facts = HASHES[hash]
  switch (scheme) {
    case 'rsa-pkcs1':
      return {
        raw: CKM.RSA_PKCS,
        hashed: facts.rsaPkcs,
        prepare: (bytes) => Buffer.concat([facts.digestInfo, bytes]),
      }
    case 'rsa-pss':
      return { raw: CKM.RSA_PKCS_PSS, hashed: facts.rsaPss, prepare: asItIs }
    case 'ecdsa':
      return {
        raw: CKM.ECDSA,
        hashed: facts.ecdsa,
        // Only the leftmost bits count, as many as the order has (FIPS 186-5 section 6.4.1). Some
        // tokens cut a longer input silently, some refuse it.
        prepare: (bytes) => bytes.subarray(0, orderBytes),
      }
  }
}

/**
 * How the token signs so, preferring to hash here: raw mechanisms are the ones that all tokens
 * have, and the message need not travel.
 * @returns `undefined` where it cannot
 */
export function planSigning(
  keyType: KeyType,
  algorithm: SignatureAlgorithm,
  offered: MechanismTable,
): SigningPlan | undefined {
  const { bits, coordinateBytes } = KEY_TYPES[keyType]
  const { scheme, hash, hashBytes } = SIGNATURE_ALGORITHMS[algorithm]
  if (scheme === 'eddsa' || hash === undefined) {
    if (!offered.has(CKM.EDDSA)) return undefined
    const mechanism = { mechanism: CKM.EDDSA }
    return { mechanism, prepare: asItIs, outputBytes: 64, finish: asItIs }
  }
  const choice = chooseMechanism(scheme, hash, coordinateBytes ?? 0)
  const type = [choice.raw, choice.hashed].find((mechanism) => offered.has(mechanism))
  if (type === undefined) return undefined
  const { mechanism: hashAlg, mgf } = HASHES[hash]
  const parameter = { type: PSS_PARAMETERS, hashAlg, mgf, saltLen: hashBytes ?? 0 }
  return {
    mechanism: { mechanism: type, ...(scheme === 'rsa-pss' && { parameter }) },
    prepare: type === choice.raw ? (message) => choice.prepare(digest(hash, message)) : asItIs,
    outputBytes: coordinateBytes === undefined ? bits / 8 : 2 * coordinateBytes,
    finish:
      coordinateBytes === undefined ? asItIs : (raw) => encodeEcdsaSignature(raw, coordinateBytes),
  }
}

/** How key pairs of a type are generated; `undefined` where the token cannot. */
export function planGeneration(
  keyType: KeyType,
  offered: MechanismTable,
): { readonly mechanism: number } | undefined {
  const { family, bits } = KEY_TYPES[keyType]
  const candidates = {
    rsa: [CKM.RSA_PKCS_KEY_PAIR_GEN, CKM.RSA_X9_31_KEY_PAIR_GEN],
    ec: [CKM.EC_KEY_PAIR_GEN],
    ed25519: [CKM.EC_EDWARDS_KEY_PAIR_GEN],
  }[family]
  return candidates
    .map((mechanism) => offered.get(mechanism))
    .find((info) => info !== undefined && (family === 'ed25519' || fits(info, bits)))
}

/** Sizes of zero mean that the token does not say. */
function fits({ minKeySize, maxKeySize }: MechanismInfo, bits: number): boolean {
  return bits >= minKeySize && (maxKeySize === 0 || bits <= maxKeySize)
}

/** What keystay can do with a token, from what the token says that it can. */
export function readCapabilities(offered: MechanismTable): BackendCapabilities {
  const signatureAlgorithms: Partial<Record<KeyType, readonly SignatureAlgorithm[]>> = {}
  for (const keyType of KEY_TYPE_NAMES) {
    if (planGeneration(keyType, offered) === undefined) continue
    const usable = KEY_TYPES[keyType].signatureAlgorithms.filter(
      (name) => planSigning(keyType, name, offered) !== undefined,
    )
    if (usable.length > 0) signatureAlgorithms[keyType] = usable
  }
  return {
    keyTypes: KEY_TYPE_NAMES.filter((keyType) => keyType in signatureAlgorithms),
    signatureAlgorithms,
    deletion: 'immediate',
    durable: true,
    uniqueLabels: true,
  }
}
