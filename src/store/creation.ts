import { sql, type Insertable, type Transaction } from 'kysely'
import { countCreation } from './creation-counts.ts'
import { readCsr } from './csrs.ts'
import { undo, type Database } from './database.ts'
import { claim } from './idempotency.ts'
import { scopeColumns, writeAttestation } from './rows.ts'
import type { CsrsTable, Schema } from './schema.ts'
import { appendEvent, lockScope } from './scopes.ts'
import type { CreationStart, FinishedCreation, NewKey, Scope, Store } from './store.ts'

/** The CSRs of a scope, those being created included. The scope is locked. */
async function countWithCreating(
  transaction: Transaction<Schema>,
  scope: Scope,
  existing: number,
): Promise<number> {
  const { scope_kind, scope_id } = scopeColumns(scope)
  const { creating } = await transaction
    .selectFrom('keys')
    .select(({ fn }) => fn.countAll<number>().as('creating'))
    .where('state', '=', sql.lit('creating'))
    .where('scope_kind', '=', scope_kind)
    .where('scope_id', '=', scope_id)
    .executeTakeFirstOrThrow()
  return existing + creating
}

async function begin(
  transaction: Transaction<Schema>,
  { key, scope, lease, now, quota, idempotency }: NewKey,
): Promise<CreationStart> {
  const existing = quota === undefined ? 0 : await lockScope(transaction, scope, 0)
  if (idempotency !== undefined) {
    const earlier = await claim(transaction, { scope, keyId: key.id, now, ...idempotency })
    if (earlier !== undefined) return undo(earlier)
  }
  if (quota !== undefined) {
    const count = await countWithCreating(transaction, scope, existing)
    if (count >= quota) undo({ state: 'quota_exceeded', count } satisfies CreationStart)
  }
  await transaction
    .insertInto('keys')
    .values({
      id: key.id,
      label: key.label,
      backend: key.backend,
      key_type: key.keyType,
      state: 'creating',
      ...scopeColumns(scope),
      lease_owner: lease.owner,
      lease_until: lease.until.getTime(),
      created_at: now.getTime(),
    })
    .execute()
  return { state: 'begun' }
}

function csrColumns(
  csr: FinishedCreation['csr'],
  keyId: string,
  keyType: CsrsTable['key_type'],
): Insertable<CsrsTable> {
  const { id, scope, accountTag, name, description, subject, sans, csr: pem, createdAt } = csr
  return {
    id,
    ...scopeColumns(scope),
    account_tag: accountTag ?? null,
    key_id: keyId,
    key_state: 'assigned',
    key_type: keyType,
    name: name ?? null,
    unnamed: name === undefined ? 1 : 0,
    description: description ?? null,
    common_name: subject.commonName,
    subject: JSON.stringify(subject),
    sans: JSON.stringify(sans),
    csr: pem,
    created_at: createdAt.getTime(),
  }
}

async function insertSans(
  transaction: Transaction<Schema>,
  { id, scope, sans, createdAt }: FinishedCreation['csr'],
): Promise<void> {
  const names = [...new Set(sans.map((san) => san.toLowerCase()))]
  // One statement takes some thousands of parameters on SQLite, and a request may have many SANs.
  for (let start = 0; start < names.length; start += 500) {
    await transaction
      .insertInto('csr_sans')
      .values(
        names.slice(start, start + 500).map((name) => ({
          csr_id: id,
          ...scopeColumns(scope),
          name,
          created_at: createdAt.getTime(),
        })),
      )
      .execute()
  }
}

async function complete(
  transaction: Transaction<Schema>,
  { keyId, owner, key, csr, event }: FinishedCreation,
): ReturnType<Store['completeCreation']> {
  await lockScope(transaction, csr.scope, 1)
  const assigned = await transaction
    .updateTable('keys')
    .set({
      uri: key.uri,
      public_key: key.publicKey,
      attestation: writeAttestation(key.attestation),
      state: 'assigned',
      lease_owner: null,
      lease_until: null,
    })
    .where('id', '=', keyId)
    .where('state', '=', 'creating')
    .where('lease_owner', '=', owner)
    .returning('key_type')
    .executeTakeFirst()
  if (assigned === undefined) return undo(undefined)
  await transaction
    .insertInto('csrs')
    .values(csrColumns(csr, keyId, assigned.key_type))
    .execute()
  await insertSans(transaction, csr)
  await countCreation(transaction, csr.scope, csr.createdAt, 1)
  await transaction
    .updateTable('idempotency')
    .set({ csr_id: csr.id })
    .where('key_id', '=', keyId)
    .execute()
  await appendEvent(transaction, event)
  return readCsr(transaction, csr.scope, csr.id)
}

/** The part of the store that makes CSRs. */
export function creationCalls(
  database: Database,
): Pick<Store, 'beginCreation' | 'completeCreation'> {
  return {
    beginCreation: (creation) => database.write((transaction) => begin(transaction, creation)),
    completeCreation: (creation) =>
      database.write((transaction) => complete(transaction, creation)),
  }
}
