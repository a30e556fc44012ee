import type { KeyType } from '../csr/algorithms.ts'
import type { CallOptions } from '../csr/signing-key.ts'
import type { Attestation } from '../key/attestation.ts'
import type { KeyDestruction } from '../key/backend.ts'

/** Who owns a row: a zone or an account, by its id. Nothing is ever seen across scopes. */
export interface Scope {
  readonly kind: 'zone' | 'account'
  readonly id: string
}

/**
 * Where a key is in its life:
 * - `creating`: the row stands, the device may or may not have made the key yet;
 * - `assigned`: a CSR points at it;
 * - `destroying`: to be destroyed; the device may or may not have done so yet;
 * - `scheduled`: the device destroys it at `destroyedAt` of its own accord.
 */
export type KeyState = 'creating' | 'assigned' | 'destroying' | 'scheduled'

/**
 * Who is at work on a key that is `creating` or `destroying`, and until when nobody else may take
 * over. `owner` is a fencing token: whoever lost it cannot complete what it began.
 */
export interface Lease {
  readonly owner: string
  readonly until: Date
}

/** A row of `keys`. */
export interface KeyRow {
  /** UUID. */
  readonly id: string
  /** Chosen before the key exists: `keystay:<id>`. Unique. */
  readonly label: string
  /** `KeyBackend.uri` of the backend that holds it. */
  readonly backend: string
  /** Absent while `creating`. */
  readonly uri: string | undefined
  readonly keyType: KeyType
  /** SubjectPublicKeyInfo, DER; absent while `creating`. */
  readonly publicKey: Uint8Array | undefined
  readonly attestation: Attestation | undefined
  readonly state: KeyState
  /** When a `scheduled` key ends. */
  readonly destroyedAt: Date | undefined
  /** For whom it is being made; absent for none in particular. */
  readonly scope: Scope | undefined
  readonly lease: Lease | undefined
  readonly createdAt: Date
}

/** A subject as a custom CSR has it. */
export interface CustomCsrSubject {
  readonly country: string
  readonly state: string
  readonly locality: string
  readonly organization: string
  readonly organizationalUnit?: string | undefined
  readonly commonName: string
}

/** A row of `csrs`, with what is known of its key. */
export interface CsrRow {
  /** UUID. */
  readonly id: string
  readonly scope: Scope
  /** The account that owns the zone, or the account itself, where that is known. */
  readonly accountTag: string | undefined
  readonly name: string | undefined
  readonly description: string | undefined
  readonly subject: CustomCsrSubject
  /** As asked for: DNS names. */
  readonly sans: readonly string[]
  readonly keyType: KeyType
  /** PEM. */
  readonly csr: string
  readonly createdAt: Date
  readonly key: Pick<KeyRow, 'id' | 'backend' | 'uri' | 'state' | 'attestation'>
}

/** What is to be remembered of who did what. Never key material, never a secret. */
export interface NewEvent {
  /** For instance `custom_csr.created`. */
  readonly type: string
  readonly scope: Scope
  /** Who did it, as `authorize` named it; `keystay` for what no request asked for. */
  readonly actor: string
  readonly at: Date
  readonly csrId?: string | undefined
  readonly keyId?: string | undefined
  readonly details?: Readonly<Record<string, string | number | boolean>> | undefined
}

/** A row of `events`. */
export interface EventRow extends NewEvent {
  /** Grows with every event; what comes later has the greater one, within one scope. */
  readonly sequence: number
}

/** A caller's key for one create, and what it stood for (hexadecimal SHA-256 of the request). */
export interface IdempotencyClaim {
  readonly key: string
  readonly fingerprint: string
  readonly expiresAt: Date
}

/** What {@link Store.beginCreation} is given. */
export interface NewKey {
  readonly key: Pick<KeyRow, 'id' | 'label' | 'backend' | 'keyType'>
  readonly scope: Scope
  readonly lease: Lease
  readonly now: Date
  /** The most CSRs the scope may have, those being created included. */
  readonly quota?: number | undefined
  readonly idempotency?: IdempotencyClaim | undefined
}

/** What became of the wish to create. Only `begun` wrote anything. */
export type CreationStart =
  | { readonly state: 'begun' }
  | { readonly state: 'quota_exceeded'; readonly count: number }
  /** The same idempotency key was used for another request. */
  | { readonly state: 'fingerprint_differs' }
  /** The same request is under way; its key says who is at work on it, and until when. */
  | { readonly state: 'in_progress'; readonly key: KeyRow }
  /** The same request was answered. */
  | { readonly state: 'completed'; readonly csr: CsrRow }
  /** The same request was answered, and its CSR has been deleted since. */
  | { readonly state: 'deleted' }

/** What {@link Store.completeCreation} is given. */
export interface FinishedCreation {
  readonly keyId: string
  /** Whose lease it must still be. */
  readonly owner: string
  readonly key: {
    readonly uri: string
    readonly publicKey: Uint8Array
    readonly attestation: Attestation
  }
  readonly csr: Omit<CsrRow, 'key' | 'keyType'>
  readonly event: NewEvent
}

/** What a list may be narrowed to: exact matches, all of which must hold. */
export interface CsrFilter {
  readonly name?: string | undefined
  readonly commonName?: string | undefined
  /** One of the SANs; compared in lower case. */
  readonly san?: string | undefined
  readonly keyType?: KeyType | undefined
}

/** Which part of a list is wanted. */
export interface CsrQuery {
  readonly filter?: CsrFilter | undefined
  /** `name`: those without one last, in either direction. Ties are broken by `createdAt`, then id. */
  readonly orderBy: 'created_at' | 'name'
  readonly direction: 'asc' | 'desc'
  readonly offset: number
  readonly limit: number
}

/** A part of a list, and how many there are in all. */
export interface CsrPage {
  readonly rows: readonly CsrRow[]
  readonly total: number
}

/** What became of the wish to delete. */
export type CsrDeletion =
  /** The row is gone. `key` is now `destroying`; absent where another CSR still uses it. */
  | { readonly state: 'deleted'; readonly key: KeyRow | undefined }
  /** Certificates use the key: the first hostnames with them (at most 20), and how many in all. */
  | { readonly state: 'in_use'; readonly hostnames: readonly string[]; readonly count: number }
  | { readonly state: 'not_found' }

/**
 * The rows of ring 2. Each method is one transaction: it happens whole, or not at all, also when
 * many processes call at once. Two rules are held by the database itself: a CSR with a certificate
 * is not deleted, and a key with a CSR is not destroyed.
 *
 * All reject with a `KeystayError`: `store_unavailable` (worth trying again), `store_closed`,
 * `store_failed`, and where the caller's signal is aborted with the signal's reason.
 */
export interface Store extends AsyncDisposable {
  /** Names the store, without a password. */
  readonly uri: string
  /** Whether rows outlive this process. */
  readonly durable: boolean

  /** Whether it answers. */
  ping(options?: CallOptions): Promise<void>

  /** Remembers how a backend is opened again, by its `uri`; a later address replaces the earlier. */
  rememberBackend(backend: { readonly uri: string; readonly address: string }): Promise<void>
  backendAddress(uri: string): Promise<string | undefined>

  /** Writes a key's row as `creating`, with the idempotency claim, if the quota allows it. */
  beginCreation(creation: NewKey): Promise<CreationStart>
  /** Prolongs the lease on a key that is `creating` or `destroying`; `false` where it was lost. */
  renewLease(keyId: string, lease: Lease): Promise<boolean>
  /**
   * Takes over a key that is `creating` or `destroying` whose lease has ended before `now`.
   * `undefined` where somebody was faster, or the key is in another state.
   */
  takeOver(keyId: string, lease: Lease, now: Date): Promise<KeyRow | undefined>
  /**
   * Writes the CSR, makes its key `assigned`, fulfils the idempotency claim. `undefined`, and
   * nothing written, where the lease is no longer the owner's.
   */
  completeCreation(creation: FinishedCreation): Promise<CsrRow | undefined>

  /** One CSR of a scope; `undefined` where there is none, or it is another scope's. */
  getCsr(scope: Scope, id: string): Promise<CsrRow | undefined>
  listCsrs(scope: Scope, query: CsrQuery): Promise<CsrPage>
  /** Deletes the CSR, and makes its key `destroying` under the lease. */
  deleteCsr(
    scope: Scope,
    id: string,
    deletion: { readonly lease: Lease; readonly event: NewEvent },
  ): Promise<CsrDeletion>

  /**
   * Makes a key that is `creating` `destroying`, and gives up its idempotency claim. `false`, and
   * nothing written, where the lease is no longer the owner's.
   */
  abandonCreation(keyId: string, lease: Lease): Promise<boolean>
  /** After the device has answered: the row of a `destroying` key goes, or becomes `scheduled`. */
  endDestruction(keyId: string, destruction: KeyDestruction, event?: NewEvent): Promise<void>
  /** A key's row, whatever its state. */
  getKey(keyId: string): Promise<KeyRow | undefined>
  /** Keys in `creating` or `destroying` whose lease has ended before `now`, the oldest first. */
  unfinishedKeys(options: {
    readonly now: Date
    readonly limit: number
  }): Promise<readonly KeyRow[]>
  /** A key that is `assigned` in this backend, the youngest; to find out whether it still signs. */
  newestKey(backend: string): Promise<KeyRow | undefined>

  /** Deletes idempotency rows that have expired and `scheduled` keys that have ended before `now`. */
  purge(now: Date): Promise<void>

  /** The events of a scope, the oldest first, with a `sequence` greater than `after`. */
  listEvents(
    scope: Scope,
    options: { readonly csrId?: string; readonly after?: number; readonly limit: number },
  ): Promise<readonly EventRow[]>

  /** Ends connections; waits for calls that are under way. Idempotent. */
  close(): Promise<void>
}
