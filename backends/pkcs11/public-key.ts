import { KEY_TYPES, KEY_TYPE_NAMES, type KeyType } from '../../src/csr/algorithms.ts'
import { bitLength, sameBytes } from '../../src/csr/der/bytes.ts'
import {
  encodePointPublicKey,
  encodeRsaPublicKey,
  readPublicKey,
} from '../../src/csr/public-key.ts'
import { subtleParameters } from '../../src/csr/subtle-parameters.ts'
import { KeystayError } from '../../src/errors.ts'
import { CKK } from './cryptoki.ts'
import { ED25519_PARAMETERS } from './key-template.ts'
import type { KeyAttributes } from './operation-types.ts'

/** A key's type and SubjectPublicKeyInfo. */
export interface PublicKey {
  readonly keyType: KeyType
  readonly spki: Uint8Array
}

/** The type of a key, where it is one that keystay creates. */
export function keyTypeOf(attributes: KeyAttributes): KeyType | undefined {
  const { keyType, modulus, ecParams } = attributes
  if (keyType === CKK.RSA && modulus !== undefined) {
    const bits = bitLength(modulus)
    return KEY_TYPE_NAMES.find((name) => {
      const facts = KEY_TYPES[name]
      return facts.family === 'rsa' && facts.bits === bits
    })
  }
  if (keyType === CKK.EC) {
    return KEY_TYPE_NAMES.find((name) => sameBytes(KEY_TYPES[name].curveOid, ecParams))
  }
  const isEd25519 = ED25519_PARAMETERS.some((form) => sameBytes(form, ecParams))
  return keyType === CKK.EC_EDWARDS && isEd25519 ? 'ed25519' : undefined
}

/**
 * The point in CKA_EC_POINT, which the standard wraps in an OCTET STRING and some tokens do not.
 * The length tells, and nothing else: a raw point may begin with the tag of an OCTET STRING.
 */
export function unwrapPoint(keyType: KeyType, value: Uint8Array): Uint8Array {
  const { coordinateBytes } = KEY_TYPES[keyType]
  const bare = coordinateBytes === undefined ? 32 : 1 + 2 * coordinateBytes
  const header = bare < 0x80 ? [0x04, bare] : [0x04, 0x81, bare]
  const wrapped =
    value.length === bare + header.length && header.every((byte, index) => value[index] === byte)
  return wrapped ? value.subarray(header.length) : value
}

/**
 * The public key of what a token showed of a key, imported once: a point that is not on its curve
 * or a modulus that is none is found here.
 * @param name the key, for messages
 * @throws {KeystayError} `public_key_unsupported`, `public_key_unreadable`, `public_key_invalid`
 */
export async function readTokenPublicKey(
  attributes: KeyAttributes,
  name: string,
): Promise<PublicKey> {
  const spki = assembleSpki(attributes, name)
  const { keyType } = readPublicKey(spki)
  if (keyType === undefined) throw unsupported(name)
  try {
    const parameters = subtleParameters(keyType, KEY_TYPES[keyType].signatureAlgorithms[0])
    await crypto.subtle.importKey('spki', spki as BufferSource, parameters, true, ['verify'])
  } catch (error) {
    throw new KeystayError(
      'public_key_invalid',
      `the token shows a public key of ${name} that is not one (a point off its curve, or a broken modulus)`,
      { cause: error },
    )
  }
  return { keyType, spki }
}

function assembleSpki(attributes: KeyAttributes, name: string): Uint8Array {
  const { modulus, publicExponent, ecPoint, publicKeyInfo } = attributes
  const keyType = keyTypeOf(attributes)
  if (keyType !== undefined) {
    if (modulus !== undefined && publicExponent !== undefined) {
      return encodeRsaPublicKey(modulus, publicExponent)
    }
    if (ecPoint !== undefined) return encodePointPublicKey(keyType, unwrapPoint(keyType, ecPoint))
  }
  if (publicKeyInfo !== undefined) return publicKeyInfo
  if (keyType === undefined) throw unsupported(name)
  throw new KeystayError(
    'public_key_unreadable',
    `the token does not show the public key of ${name}: its public half is gone; open the key with the public key that was stored when it was created`,
  )
}

function unsupported(name: string): KeystayError {
  return new KeystayError(
    'public_key_unsupported',
    `${name} is of a type that keystay does not use; it must be one of ${KEY_TYPE_NAMES.join(', ')}`,
  )
}
