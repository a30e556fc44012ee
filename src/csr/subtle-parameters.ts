import {
  KEY_TYPES,
  SIGNATURE_ALGORITHMS,
  type KeyType,
  type SignatureAlgorithm,
  type SignatureAlgorithmFacts,
} from './algorithms.ts'

/**
 * What `subtle` wants to know to generate, import or use a key. Each of its methods reads the
 * members that concern it, so that one object serves all of them.
 */
export interface SubtleParameters {
  readonly name: string
  readonly hash?: string
  readonly saltLength?: number
  readonly namedCurve?: string
  readonly modulusLength?: number
  readonly publicExponent?: Uint8Array<ArrayBuffer>
}

const NAMES: Readonly<Record<SignatureAlgorithmFacts['scheme'], string>> = {
  'rsa-pkcs1': 'RSASSA-PKCS1-v1_5',
  'rsa-pss': 'RSA-PSS',
  ecdsa: 'ECDSA',
  eddsa: 'Ed25519',
}

/** The parameters for importing a public key, or verifying with it, by this algorithm. */
export function verificationParameters(
  algorithm: SignatureAlgorithm,
  namedCurve?: string,
): SubtleParameters {
  const { scheme, hash, hashBytes } = SIGNATURE_ALGORITHMS[algorithm]
  return {
    name: NAMES[scheme],
    ...(hash !== undefined && { hash }),
    ...(hashBytes !== undefined && { saltLength: hashBytes }),
    ...(namedCurve !== undefined && { namedCurve }),
  }
}

/** The parameters for a key of this type that signs by this algorithm. */
export function subtleParameters(
  keyType: KeyType,
  algorithm: SignatureAlgorithm,
): SubtleParameters {
  const { family, bits, namedCurve } = KEY_TYPES[keyType]
  return {
    ...verificationParameters(algorithm, namedCurve),
    ...(family === 'rsa' && {
      modulusLength: bits,
      publicExponent: Uint8Array.of(0x01, 0x00, 0x01),
    }),
  }
}
