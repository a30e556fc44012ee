import { KEY_TYPES, type KeyType } from '../../src/csr/algorithms.ts'
import { toHex } from '../../src/csr/der/bytes.ts'
import { subtleParameters, type SubtleParameters } from '../../src/csr/subtle-parameters.ts'
import { KeystayError } from '../../src/errors.ts'
import type { KeyStorage, StoredKey } from './keyring.ts'
import { generationParameters } from './key-types.ts'

/** A private key, wrapped, and what anybody may know of it. */
export interface SealedKey {
  /** Where it is: `<digest of the label>-<digest of the public key>`. */
  readonly id: string
  readonly label: string
  readonly keyType: KeyType
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Bytes
  readonly createdAt: Date
  readonly iv: Bytes
  /** PKCS#8 under AES-256-GCM, the tag at its end; everything above is authenticated with it. */
  readonly wrappedKey: Bytes
}

/** Bytes as `subtle` takes and answers them. */
export type Bytes = Uint8Array<ArrayBuffer>

/** What a private key is wrapped with, and the keyring that this belongs to. */
export interface Sealer {
  /** Names the keyring in key URIs. */
  readonly keyring: string
  /** Where sealed keys are put. */
  readonly storage: KeyStorage
  /** AES-256-GCM, not extractable. */
  readonly wrappingKey: CryptoKey
}

const encoder = new TextEncoder()

async function digest(bytes: Bytes): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return toHex(hash.subarray(0, 16))
}

/** The part of a key's id that its label decides. */
export async function labelDigest(label: string): Promise<string> {
  return digest(encoder.encode(label))
}

/** The id of a key. The same key under the same label has the same id everywhere. */
export async function keyId(label: string, publicKey: Bytes): Promise<string> {
  return `${await labelDigest(label)}-${await digest(publicKey)}`
}

/** All that is known of a key in the clear, in one unambiguous row of bytes. */
function authenticated(keyring: string, key: Omit<SealedKey, 'wrappedKey'>): Bytes {
  const { id, label, keyType, publicKey, createdAt } = key
  const head = encoder.encode(
    JSON.stringify(['keystay key', 1, keyring, id, label, keyType, createdAt.toISOString()]),
  )
  const bytes = new Uint8Array(head.length + publicKey.length)
  bytes.set(head)
  bytes.set(publicKey, head.length)
  return bytes
}

/**
 * Generates a key and wraps it. Wrapping needs an extractable key: that one is dropped on return,
 * and its PKCS#8 never becomes bytes that this process could see.
 */
export async function sealNewKey(
  { keyring, wrappingKey }: Sealer,
  keyType: KeyType,
  label: string,
): Promise<SealedKey> {
  const parameters = generationParameters(keyType)
  const pair = await crypto.subtle.generateKey(parameters, true, ['sign', 'verify'])
  if (!('privateKey' in pair)) throw new TypeError(`${parameters.name} made no pair of keys`)
  const publicKey = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey))
  const iv = crypto.getRandomValues(new Uint8Array(12))
  const id = await keyId(label, publicKey)
  const key = { id, label, keyType, publicKey, createdAt: new Date(), iv }
  const wrapped = await crypto.subtle.wrapKey('pkcs8', pair.privateKey, wrappingKey, {
    name: 'AES-GCM',
    iv,
    additionalData: authenticated(keyring, key),
  })
  return { ...key, wrappedKey: new Uint8Array(wrapped) }
}

/** A sealed key as a keyring answers it: opened when it is to sign. */
export function storedKey(sealer: Sealer, key: SealedKey): StoredKey {
  const { id, label, keyType, publicKey, createdAt } = key
  return {
    ...{ id, label, keyType, publicKey, createdAt },
    algorithms: KEY_TYPES[keyType].signatureAlgorithms,
    storage: sealer.storage,
    extractable: false,
    async open(algorithm) {
      // WebCrypto binds an RSA key to its algorithm, so each one opens the key anew.
      const parameters = subtleParameters(keyType, algorithm)
      const privateKey = await unsealKey(sealer, key, parameters)
      return (message) => crypto.subtle.sign(parameters, privateKey, message)
    },
  }
}

/** @throws {KeystayError} `keyring_damaged` where anything of the key was altered */
async function unsealKey(
  { keyring, wrappingKey }: Sealer,
  key: SealedKey,
  parameters: SubtleParameters,
): Promise<CryptoKey> {
  const sealing = { name: 'AES-GCM', iv: key.iv, additionalData: authenticated(keyring, key) }
  try {
    return await crypto.subtle.unwrapKey(
      'pkcs8',
      key.wrappedKey,
      wrappingKey,
      sealing,
      parameters,
      false,
      ['sign'],
    )
  } catch (error) {
    throw new KeystayError(
      'keyring_damaged',
      `key ${key.id} has been altered or is damaged; restore its file from a copy, or destroy the key`,
      { cause: error },
    )
  }
}
