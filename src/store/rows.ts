import type { Insertable, Selectable } from 'kysely'
import type { Attestation } from '../key/attestation.ts'
import type { CsrsTable, EventsTable, KeysTable, ScopedTable } from './schema.ts'
import type { CsrRow, CustomCsrSubject, EventRow, KeyRow, NewEvent, Scope } from './store.ts'

/** A scope as columns. */
export function scopeColumns({ kind, id }: Scope): ScopedTable {
  return { scope_kind: kind, scope_id: id }
}

/** An attestation as JSON; the dates and bytes in it as text. */
export function writeAttestation({ evidence, observedAt, ...rest }: Attestation): string {
  return JSON.stringify({
    ...rest,
    observedAt: observedAt.getTime(),
    evidence: evidence && {
      format: evidence.format,
      data: Buffer.from(evidence.data).toString('base64'),
    },
  })
}

interface StoredAttestation extends Omit<Attestation, 'evidence' | 'observedAt'> {
  readonly observedAt: number
  readonly evidence?: { readonly format: string; readonly data: string }
}

/** The inverse of {@link writeAttestation}. */
export function readAttestation(json: string): Attestation {
  const { evidence, observedAt, ...rest } = JSON.parse(json) as StoredAttestation
  return {
    ...rest,
    observedAt: new Date(observedAt),
    ...(evidence && {
      evidence: {
        format: evidence.format,
        data: new Uint8Array(Buffer.from(evidence.data, 'base64')),
      },
    }),
  }
}

function readDate(time: number | null): Date | undefined {
  return time === null ? undefined : new Date(time)
}

/** A row of `keys` as the seam has it. */
export function toKeyRow(row: Selectable<KeysTable>): KeyRow {
  const { scope_kind: kind, scope_id: id, lease_owner: owner, lease_until: until } = row
  return {
    id: row.id,
    label: row.label,
    backend: row.backend,
    uri: row.uri ?? undefined,
    keyType: row.key_type,
    // A plain copy: what a driver answers may be a view of a larger buffer.
    publicKey: row.public_key === null ? undefined : new Uint8Array(row.public_key),
    attestation: row.attestation === null ? undefined : readAttestation(row.attestation),
    state: row.state,
    destroyedAt: readDate(row.destroyed_at),
    scope: kind === null || id === null ? undefined : { kind, id },
    lease: owner === null || until === null ? undefined : { owner, until: new Date(until) },
    createdAt: new Date(row.created_at),
  }
}

/** A CSR as it is selected: with what is known of its key. */
export interface SelectedCsr extends Omit<
  CsrsTable,
  'key_state' | 'unnamed' | 'common_name' | 'key_type'
> {
  key_type: KeysTable['key_type']
  backend: string
  uri: string | null
  state: KeysTable['state']
  attestation: string | null
}

/** A row of `csrs` as the seam has it. */
export function toCsrRow(row: SelectedCsr): CsrRow {
  return {
    id: row.id,
    scope: { kind: row.scope_kind, id: row.scope_id },
    accountTag: row.account_tag ?? undefined,
    name: row.name ?? undefined,
    description: row.description ?? undefined,
    subject: JSON.parse(row.subject) as CustomCsrSubject,
    sans: JSON.parse(row.sans) as readonly string[],
    keyType: row.key_type,
    csr: row.csr,
    createdAt: new Date(row.created_at),
    key: {
      id: row.key_id,
      backend: row.backend,
      uri: row.uri ?? undefined,
      state: row.state,
      attestation: row.attestation === null ? undefined : readAttestation(row.attestation),
    },
  }
}

/** An event as columns. */
export function eventColumns(event: NewEvent): Insertable<EventsTable> {
  const { type, scope, actor, at, csrId, keyId, details } = event
  return {
    ...scopeColumns(scope),
    type,
    actor,
    at: at.getTime(),
    csr_id: csrId ?? null,
    key_id: keyId ?? null,
    details: details === undefined ? null : JSON.stringify(details),
  }
}

/** A row of `events` as the seam has it. */
export function toEventRow(row: Selectable<EventsTable>): EventRow {
  return {
    sequence: row.sequence,
    type: row.type,
    scope: { kind: row.scope_kind, id: row.scope_id },
    actor: row.actor,
    at: new Date(row.at),
    csrId: row.csr_id ?? undefined,
    keyId: row.key_id ?? undefined,
    details: row.details === null ? undefined : (JSON.parse(row.details) as EventRow['details']),
  }
}
