import type { Kysely, Transaction } from 'kysely'
import { countCreation } from './creation-counts.ts'
import { undo, type Database } from './database.ts'
import { scopeColumns, toKeyRow } from './rows.ts'
import type { Schema } from './schema.ts'
import { appendEvent, lockScope } from './scopes.ts'
import type { CsrDeletion, KeyRow, Lease, NewEvent, Scope } from './store.ts'
import { canBeStored } from './text.ts'

interface Deletion {
  readonly lease: Lease
  readonly event: NewEvent
}

/** Hostnames named to those who are told that a CSR is in use. */
const SHOWN_HOSTNAMES = 20

/** A certificate may come and go while we look: once more then, but not for ever. */
const ATTEMPTS = 5

/** Hands a key over to its destruction, unless another CSR uses it. */
async function retireKey(
  transaction: Transaction<Schema>,
  keyId: string,
  { owner, until }: Lease,
): Promise<KeyRow | undefined> {
  const row = await transaction
    .updateTable('keys')
    .set({ state: 'destroying', lease_owner: owner, lease_until: until.getTime() })
    .where('id', '=', keyId)
    .where('state', '=', 'assigned')
    .where((eb) =>
      eb.not(eb.exists(eb.selectFrom('csrs').select('csrs.id').where('csrs.key_id', '=', keyId))),
    )
    .returningAll()
    .executeTakeFirst()
  return row && toKeyRow(row)
}

async function remove(
  transaction: Transaction<Schema>,
  scope: Scope,
  id: string,
  { lease, event }: Deletion,
): Promise<CsrDeletion> {
  const { scope_kind, scope_id } = scopeColumns(scope)
  // Without this look, a CSR that is not there would lock its scope, and make a row for it.
  const csr = await transaction
    .selectFrom('csrs')
    .select('id')
    .where('id', '=', id)
    .where('scope_kind', '=', scope_kind)
    .where('scope_id', '=', scope_id)
    .executeTakeFirst()
  if (csr === undefined) return { state: 'not_found' }
  await lockScope(transaction, scope, 0)
  const deleted = await transaction
    .deleteFrom('csrs')
    .where('id', '=', id)
    .returning(['key_id', 'created_at'])
    .executeTakeFirst()
  if (deleted === undefined) return undo({ state: 'not_found' } satisfies CsrDeletion)
  // Only now: of two who delete the same CSR, one has deleted nothing.
  await lockScope(transaction, scope, -1)
  await countCreation(transaction, scope, new Date(deleted.created_at), -1)
  const key = await retireKey(transaction, deleted.key_id, lease)
  await appendEvent(transaction, event)
  return { state: 'deleted', key }
}

/** Where a CSR's certificates are used; `undefined` where it has none. */
async function findUse(kysely: Kysely<Schema>, csrId: string): Promise<CsrDeletion | undefined> {
  const certificate = await kysely
    .selectFrom('certificates')
    .select('id')
    .where('csr_id', '=', csrId)
    .limit(1)
    .executeTakeFirst()
  if (certificate === undefined) return undefined
  const used = kysely
    .selectFrom('hostnames')
    .innerJoin('certificates', 'certificates.id', 'hostnames.certificate_id')
    .where('certificates.csr_id', '=', csrId)
  const { count } = await used
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  const first = await used
    .select('hostnames.hostname')
    .orderBy('hostnames.hostname')
    .limit(SHOWN_HOSTNAMES)
    .execute()
  return { state: 'in_use', hostnames: first.map(({ hostname }) => hostname), count }
}

/**
 * Deletes a CSR and retires its key. Whether a certificate uses it is not asked beforehand, when the
 * answer could change: the foreign key refuses the deletion.
 */
export async function deleteCsr(
  database: Database,
  scope: Scope,
  id: string,
  deletion: Deletion,
): Promise<CsrDeletion> {
  if (!canBeStored(scope.id, id)) return { state: 'not_found' }
  for (let attempt = 1; ; attempt++) {
    try {
      return await database.write((transaction) => remove(transaction, scope, id, deletion))
    } catch (error) {
      if (!database.isReferenced(error)) throw error
      const use = await database.snapshot((transaction) => findUse(transaction, id))
      if (use !== undefined) return use
      if (attempt === ATTEMPTS) throw error
    }
  }
}
