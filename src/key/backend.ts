import type { KeyType, SignatureAlgorithm } from '../csr/algorithms.ts'
import type { CallOptions, SigningKey } from '../csr/signing-key.ts'
import type { Attestation } from './attestation.ts'

/** A key inside a backend. Stays usable until its backend is closed. */
export interface BackendKey extends SigningKey {
  /** Names the key for ever. Safe to store, log and show: no PIN, no credential. */
  readonly uri: string
  /** The label it was created with, where the device kept one. */
  readonly label: string | undefined
  /** Asks the device how the key is kept, or answers what it said at creation. */
  attest(options?: CallOptions): Promise<Attestation>
}

/** What a backend can do, asked of the device itself where it can be asked. */
export interface BackendCapabilities {
  readonly keyTypes: readonly KeyType[]
  /** What signs with keys of each of `keyTypes`: a device may tie a curve to one hash. */
  readonly signatureAlgorithms: Readonly<Partial<Record<KeyType, readonly SignatureAlgorithm[]>>>
  /** `scheduled`: the device destroys only after a waiting time; see {@link KeyDestruction}. */
  readonly deletion: 'immediate' | 'scheduled'
  /** Whether a key outlives this process. */
  readonly durable: boolean
  /**
   * Whether `generateKey` refuses a label that is in use (`label_taken`). Where a device cannot be
   * asked that on the path of a request, `findKey` says `key_ambiguous` of two.
   */
  readonly uniqueLabels: boolean
}

/** What became of a key that was to be destroyed. */
export type KeyDestruction =
  { readonly state: 'destroyed' } | { readonly state: 'scheduled'; readonly at: Date }

/** One line of a listing. */
export interface KeyListing {
  readonly uri: string
  readonly label: string | undefined
  /** Absent where the key is of a type that keystay does not create. */
  readonly keyType: KeyType | undefined
  /** `usable`, or why not: a KMS key may be disabled, or wait for its destruction. */
  readonly state: 'usable' | 'disabled' | 'scheduled' | 'unavailable'
  /** When the device created it, where it says so. */
  readonly createdAt: Date | undefined
}

export interface GenerateKeyOptions extends CallOptions {
  /**
   * Chosen before the key exists, so that after a crash the key can be found by it: 1 to 64
   * characters of `A-Z a-z 0-9 . _ : / = + @ -`, unique in the backend.
   */
  readonly label: string
}

export interface GetKeyOptions extends CallOptions {
  /** SubjectPublicKeyInfo as stored at creation; spares asking the device for it. */
  readonly publicKey?: Uint8Array | undefined
}

export interface ListKeysOptions extends CallOptions {
  /** Only keys whose label begins so. */
  readonly labelPrefix?: string | undefined
}

/**
 * A place where keys are created and kept. Every method rejects with a `KeystayError`; after
 * `close` with the code `backend_closed`, and where the caller's signal is aborted with the signal's
 * reason instead. Lookups by label and listings are for set-up and
 * reconciling: their cost may grow with the number of keys. `getKey` and `sign` do not.
 */
export interface KeyBackend extends AsyncDisposable {
  /** The scheme of its URIs: `webcrypto`, `pkcs11`, `awskms`, or one of your own. */
  readonly scheme: string
  /** Names the backend, without secrets. */
  readonly uri: string
  /**
   * What `openBackend` takes to reach the same keys again, where that can be said without secrets:
   * it is stored, so that keys stay usable when new ones are made elsewhere.
   */
  readonly address?: string | undefined
  capabilities(options?: CallOptions): Promise<BackendCapabilities>
  /**
   * Creates a key that cannot be exported, and has it in durable storage before it answers.
   * Either the key is answered, or none is left behind, or (after a lost answer that could not be
   * cleared up) `findKey(label)` finds it.
   * @throws {KeystayError} `key_type_unsupported`, `label_invalid`, `label_taken`, …
   */
  generateKey(keyType: KeyType, options: GenerateKeyOptions): Promise<BackendKey>
  /** @throws {KeystayError} `key_not_found`, `key_uri_foreign` (another backend's URI), … */
  getKey(uri: string, options?: GetKeyOptions): Promise<BackendKey>
  /** The key with this label, or `undefined`. @throws {KeystayError} `key_ambiguous`, … */
  findKey(label: string, options?: CallOptions): Promise<BackendKey | undefined>
  listKeys(options?: ListKeysOptions): AsyncIterable<KeyListing>
  /**
   * Destroys, or schedules, for good. A key that is already scheduled answers the same date.
   * @throws {KeystayError} `key_not_found`, …
   */
  destroyKey(uri: string, options?: CallOptions): Promise<KeyDestruction>
  /** Ends sessions and connections; waits for calls that are under way. Idempotent. */
  close(): Promise<void>
}

/** One step of a diagnosis, in the order in which a person would check. */
export interface DiagnosisStep {
  readonly name: string
  /** `skipped` where an earlier step or the device makes it pointless. */
  readonly status: 'ok' | 'failed' | 'warning' | 'skipped'
  /** What was found. */
  readonly detail: string
  /** What to do about it, where something is wrong. */
  readonly remedy?: string
}

/**
 * Optional ability: says step by step whether the way to the device works (module, token, login,
 * mechanisms; or region, credentials, permissions). Never throws for what it is there to find out.
 */
export interface DiagnosableBackend extends KeyBackend {
  diagnose(options?: CallOptions): AsyncIterable<DiagnosisStep>
}

/** Whether a backend has the optional ability to diagnose itself. */
export function isDiagnosable(backend: KeyBackend): backend is DiagnosableBackend {
  return typeof (backend as Partial<DiagnosableBackend>).diagnose === 'function'
}
