import type { Transaction } from 'kysely'
import { eventColumns } from './rows.ts'
import type { Schema } from './schema.ts'
import type { NewEvent, Scope } from './store.ts'

// Locks are taken in one order everywhere: scope, idempotency claim or key, CSR.

/**
 * Adds to the number of a scope's CSRs, and holds its row until the transaction ends: whatever else
 * counts or writes events there waits.
 * @returns how many there are now
 */
export async function lockScope(
  transaction: Transaction<Schema>,
  { kind, id }: Scope,
  more: number,
): Promise<number> {
  const { csr_count: count } = await transaction
    .insertInto('scopes')
    .values({ kind, id, csr_count: Math.max(more, 0) })
    .onConflict((conflict) =>
      conflict
        .columns(['kind', 'id'])
        .doUpdateSet(({ eb }) => ({ csr_count: eb('scopes.csr_count', '+', more) })),
    )
    .returning('csr_count')
    .executeTakeFirstOrThrow()
  return count
}

/**
 * Writes an event. The transaction must hold the scope's row: numbers are given out when rows are
 * written, and are in order only if those transactions end one after another.
 */
export async function appendEvent(
  transaction: Transaction<Schema>,
  event: NewEvent,
): Promise<void> {
  await transaction.insertInto('events').values(eventColumns(event)).execute()
}
