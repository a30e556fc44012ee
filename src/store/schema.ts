import type { GeneratedAlways } from 'kysely'
import type { KeyType } from '../csr/algorithms.ts'
import type { KeyState, Scope } from './store.ts'

// Times are milliseconds since 1970, UUIDs text, JSON text: alike in every engine.

/** What belongs to a zone or an account. */
export interface ScopedTable {
  scope_kind: Scope['kind']
  scope_id: string
}

/** `scopes`: how many CSRs there are; also the row to lock where a scope must stand still. */
export interface ScopesTable {
  kind: Scope['kind']
  id: string
  csr_count: number
}

/** `keys`. */
export interface KeysTable {
  id: string
  label: string
  backend: string
  uri: string | null
  key_type: KeyType
  public_key: Uint8Array | null
  /** JSON. */
  attestation: string | null
  state: KeyState
  destroyed_at: number | null
  scope_kind: Scope['kind'] | null
  scope_id: string | null
  lease_owner: string | null
  lease_until: number | null
  created_at: number
}

/** `csrs`. */
export interface CsrsTable extends ScopedTable {
  id: string
  account_tag: string | null
  key_id: string
  /** Always `assigned`: with `key_id` it refers to a key in that state, and holds it there. */
  key_state: 'assigned'
  key_type: KeyType
  name: string | null
  /** 1 where there is no name, so that an index can put those last in either direction. */
  unnamed: 0 | 1
  description: string | null
  common_name: string
  /** JSON. */
  subject: string
  /** JSON: as asked for. */
  sans: string
  csr: string
  created_at: number
}

/** `csr_sans`: the SANs in lower case, to look them up. */
export interface CsrSansTable extends ScopedTable {
  csr_id: string
  name: string
  /** The CSR's own, so that those with a SAN are in order. */
  created_at: number
}

/** `csr_counts`: how many CSRs were created in a stretch of 2^width milliseconds. */
export interface CsrCountsTable extends ScopedTable {
  width: number
  /** The stretch's number since 1970. */
  bucket: number
  csr_count: number
}

/** `certificates`. */
export interface CertificatesTable {
  id: string
  csr_id: string
  /** PEM, leaf first. */
  chain: string
  /** Of the leaf, hexadecimal. */
  sha256: string
  issuer: string
  serial_number: string
  signature: string
  not_before: number
  not_after: number
  uploaded_at: number
}

/** `hostnames`. */
export interface HostnamesTable {
  id: string
  zone_id: string
  hostname: string
  certificate_id: string
  status: string
  /** JSON. */
  custom_metadata: string | null
  created_at: number
}

/** `idempotency`: `csr_id` is null until the request has been fulfilled. */
export interface IdempotencyTable extends ScopedTable {
  key: string
  fingerprint: string
  key_id: string
  csr_id: string | null
  expires_at: number
}

/** `events`: the database refuses to change or delete a row. */
export interface EventsTable extends ScopedTable {
  sequence: GeneratedAlways<number>
  type: string
  actor: string
  at: number
  csr_id: string | null
  key_id: string | null
  /** JSON. */
  details: string | null
}

/** `backends`: how a backend is opened again. */
export interface BackendsTable {
  uri: string
  address: string
}

/** The tables by name. */
export interface Schema {
  backends: BackendsTable
  scopes: ScopesTable
  keys: KeysTable
  csrs: CsrsTable
  csr_sans: CsrSansTable
  csr_counts: CsrCountsTable
  certificates: CertificatesTable
  hostnames: HostnamesTable
  idempotency: IdempotencyTable
  events: EventsTable
}
