import type { KeyType, SignatureAlgorithm } from '../../src/csr/algorithms.ts'
import { KeystayError } from '../../src/errors.ts'
import type { KeyListing } from '../../src/key/backend.ts'

/** `subtle.sign` with all but the message given. */
export type Sign = (message: Uint8Array<ArrayBuffer>) => Promise<ArrayBuffer>

/** Where a private key is while nobody uses it. */
export type KeyStorage = 'memory' | 'encrypted file' | 'supplied by the caller'

/** A key as a keyring keeps it. */
export interface StoredKey {
  /** `<digest of the label>-<digest of the public key>` */
  readonly id: string
  readonly label: string
  readonly keyType: KeyType
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array
  readonly createdAt: Date | undefined
  /** What it can sign by; the first is what it is for. */
  readonly algorithms: readonly [SignatureAlgorithm, ...SignatureAlgorithm[]]
  readonly storage: KeyStorage
  /** Whether the private key could be exported from here. */
  readonly extractable: boolean
  /** Makes ready to sign by one of `algorithms`. @throws {KeystayError} `keyring_damaged` */
  open(algorithm: SignatureAlgorithm): Promise<Sign>
}

/** One line of a keyring's listing: a key that cannot be read is listed by its id alone. */
export type ListedKey = Pick<KeyListing, 'label' | 'keyType' | 'state' | 'createdAt'> & {
  readonly id: string
}

/** Where a WebCrypto backend keeps its keys: in memory or in a directory. */
export interface Keyring {
  /** Names the keyring in key URIs. */
  readonly name: string
  /** The directory, or `undefined` in memory. */
  readonly directory: string | undefined
  /**
   * Has the new key in storage before it answers.
   * @throws {KeystayError} `label_taken`
   */
  generate(keyType: KeyType, label: string, signal: AbortSignal | undefined): Promise<StoredKey>
  /** Whether the key is there still; cheap. */
  has(id: string): Promise<boolean>
  read(id: string): Promise<StoredKey | undefined>
  find(label: string): Promise<StoredKey | undefined>
  list(): AsyncIterable<ListedKey>
  /** Whether there was such a key. */
  remove(id: string): Promise<boolean>
}

/** The refusal of a label that another key has. */
export function labelTaken(label: string): KeystayError {
  return new KeystayError(
    'label_taken',
    `a key with the label ${JSON.stringify(label)} exists; choose another label, or destroy that key first`,
    { pointer: '/label' },
  )
}
