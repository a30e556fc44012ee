import type { Selectable, Transaction } from 'kysely'
import { readCsr } from './csrs.ts'
import { scopeColumns, toKeyRow } from './rows.ts'
import type { IdempotencyTable, Schema } from './schema.ts'
import type { CreationStart, IdempotencyClaim, Scope } from './store.ts'

/** A claim, and the key that is to be made under it. */
interface NewClaim extends IdempotencyClaim {
  readonly scope: Scope
  readonly keyId: string
  readonly now: Date
}

/** Whoever claimed may give up between two statements of ours, and somebody else claim again. */
const ATTEMPTS = 10

async function insert(transaction: Transaction<Schema>, wanted: NewClaim): Promise<boolean> {
  const inserted = await transaction
    .insertInto('idempotency')
    .values({
      ...scopeColumns(wanted.scope),
      key: wanted.key,
      fingerprint: wanted.fingerprint,
      key_id: wanted.keyId,
      expires_at: wanted.expiresAt.getTime(),
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('key_id')
    .executeTakeFirst()
  return inserted !== undefined
}

/** The claim that is there; it stays as it is until the transaction ends. */
async function lockClaim(
  transaction: Transaction<Schema>,
  { scope, key }: NewClaim,
): Promise<Selectable<IdempotencyTable> | undefined> {
  const { scope_kind, scope_id } = scopeColumns(scope)
  return (
    transaction
      .updateTable('idempotency')
      // An update that changes nothing locks a row in every engine.
      .set((eb) => ({ csr_id: eb.ref('csr_id') }))
      .where('scope_kind', '=', scope_kind)
      .where('scope_id', '=', scope_id)
      .where('key', '=', key)
      .returningAll()
      .executeTakeFirst()
  )
}

/** What stands against a new claim; `undefined` where the earlier one is over. */
async function weigh(
  transaction: Transaction<Schema>,
  earlier: Selectable<IdempotencyTable>,
  { scope, fingerprint, now }: NewClaim,
): Promise<CreationStart | undefined> {
  if (earlier.expires_at <= now.getTime()) return undefined
  const sameRequest = earlier.fingerprint === fingerprint
  if (earlier.csr_id !== null) {
    if (!sameRequest) return { state: 'fingerprint_differs' }
    const csr = await readCsr(transaction, scope, earlier.csr_id)
    return csr === undefined ? { state: 'deleted' } : { state: 'completed', csr }
  }
  const key = await transaction
    .selectFrom('keys')
    .selectAll()
    .where('id', '=', earlier.key_id)
    .where('state', '=', 'creating')
    .executeTakeFirst()
  if (key === undefined) return undefined
  return sameRequest
    ? { state: 'in_progress', key: toKeyRow(key) }
    : { state: 'fingerprint_differs' }
}

async function replace(transaction: Transaction<Schema>, wanted: NewClaim): Promise<void> {
  const { scope_kind, scope_id } = scopeColumns(wanted.scope)
  await transaction
    .updateTable('idempotency')
    .set({
      fingerprint: wanted.fingerprint,
      key_id: wanted.keyId,
      csr_id: null,
      expires_at: wanted.expiresAt.getTime(),
    })
    .where('scope_kind', '=', scope_kind)
    .where('scope_id', '=', scope_id)
    .where('key', '=', wanted.key)
    .execute()
}

/** Claims an idempotency key. @returns what became of an earlier claim that still stands, if any */
export async function claim(
  transaction: Transaction<Schema>,
  wanted: NewClaim,
): Promise<CreationStart | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (await insert(transaction, wanted)) return undefined
    const earlier = await lockClaim(transaction, wanted)
    if (earlier === undefined) continue
    const outcome = await weigh(transaction, earlier, wanted)
    if (outcome === undefined) await replace(transaction, wanted)
    return outcome
  }
  throw new Error('the idempotency key is claimed and given up again and again')
}
