import type { Kysely, Transaction } from 'kysely'
import { scopeColumns } from './rows.ts'
import type { Schema } from './schema.ts'
import type { Scope } from './store.ts'

// How many CSRs of a scope were created in each stretch of time, in three sizes. With them a page
// deep in a list is found by adding up some hundred numbers, and not by walking over every row
// before it. They are kept by the transactions that create and delete, which hold the scope's row.

/** Widths of the stretches, as powers of two of milliseconds: 16 seconds, 70 minutes, 12 days. */
const WIDTHS = [30, 22, 14] as const

function bucketOf(time: number, width: number): number {
  return Math.floor(time / 2 ** width)
}

/** Adds to the numbers of the stretches that a CSR was created in. */
export async function countCreation(
  transaction: Transaction<Schema>,
  scope: Scope,
  createdAt: Date,
  more: 1 | -1,
): Promise<void> {
  const columns = scopeColumns(scope)
  if (more === 1) {
    await transaction
      .insertInto('csr_counts')
      .values(
        WIDTHS.map((width) => ({
          ...columns,
          width,
          bucket: bucketOf(createdAt.getTime(), width),
          csr_count: 1,
        })),
      )
      .onConflict((conflict) =>
        conflict
          .columns(['scope_kind', 'scope_id', 'width', 'bucket'])
          .doUpdateSet((eb) => ({ csr_count: eb('csr_counts.csr_count', '+', 1) })),
      )
      .execute()
    return
  }
  await transaction
    .updateTable('csr_counts')
    .set((eb) => ({ csr_count: eb('csr_count', '-', 1) }))
    .where('scope_kind', '=', columns.scope_kind)
    .where('scope_id', '=', columns.scope_id)
    .where((eb) =>
      eb.or(WIDTHS.map((width) => eb.and({ width, bucket: bucketOf(createdAt.getTime(), width) }))),
    )
    .execute()
}

/** Where to begin to read: at a time, and how many rows from there. */
export interface StartingPoint {
  /** Ascending: from this time on; descending: before this time. */
  readonly time: number
  readonly offset: number
}

interface Stretch {
  readonly bucket: number
  readonly offset: number
}

/** The stretch of a width, within one of the next greater width, that an offset falls into. */
async function findStretch(
  database: Kysely<Schema>,
  scope: Scope,
  direction: 'asc' | 'desc',
  { width, offset, within }: { width: number; offset: number; within: readonly number[] },
): Promise<Stretch | undefined> {
  const { scope_kind, scope_id } = scopeColumns(scope)
  const [first, last] = within
  let query = database
    .selectFrom('csr_counts')
    .select(['bucket', 'csr_count'])
    .where('scope_kind', '=', scope_kind)
    .where('scope_id', '=', scope_id)
    .where('width', '=', width)
  if (first !== undefined) query = query.where('bucket', '>=', first)
  if (last !== undefined) query = query.where('bucket', '<=', last)
  let left = offset
  for (const { bucket, csr_count: count } of await query.orderBy('bucket', direction).execute()) {
    if (left < count) return { bucket, offset: left }
    left -= count
  }
  return undefined
}

/** Where the row is that has this many before it; `undefined` past the end. */
export async function findStart(
  database: Kysely<Schema>,
  scope: Scope,
  direction: 'asc' | 'desc',
  offset: number,
): Promise<StartingPoint | undefined> {
  let left = offset
  let within: readonly number[] = []
  let time = 0
  for (const [index, width] of WIDTHS.entries()) {
    const found = await findStretch(database, scope, direction, { width, offset: left, within })
    if (found === undefined) return undefined
    left = found.offset
    time = (direction === 'asc' ? found.bucket : found.bucket + 1) * 2 ** width
    const parts = 2 ** (width - (WIDTHS[index + 1] ?? width))
    within = [found.bucket * parts, (found.bucket + 1) * parts - 1]
  }
  return { time, offset: left }
}
