import type { Kysely } from 'kysely'
import { findStart } from './creation-counts.ts'
import { selectCsrs } from './csrs.ts'
import type { Database } from './database.ts'
import {
  countFiltered,
  isEmpty,
  sortable,
  type SortableCsrs,
  type SortedColumns,
} from './filters.ts'
import { toCsrRow } from './rows.ts'
import type { Schema } from './schema.ts'
import type { CsrPage, CsrQuery, CsrRow, Scope } from './store.ts'
import { canBeStored } from './text.ts'

type Direction = CsrQuery['direction']

/** Rows that are walked over sooner than counted. */
const SHORT_WALK = 30

/** Which rows of an order are wanted, counted from its start in that direction. */
interface Window {
  readonly direction: Direction
  readonly offset: number
  readonly limit: number
}

function reverse(direction: Direction): Direction {
  return direction === 'asc' ? 'desc' : 'asc'
}

/** The same rows counted from the nearer end: nobody need walk over more than half. */
function fromNearerEnd({ direction, offset, limit }: Window, total: number): Window {
  const after = total - offset - limit
  return after >= offset
    ? { direction, offset, limit }
    : { direction: reverse(direction), offset: after, limit }
}

async function countAll(database: Kysely<Schema>, { kind, id }: Scope): Promise<number> {
  const row = await database
    .selectFrom('scopes')
    .select('csr_count')
    .where('kind', '=', kind)
    .where('id', '=', id)
    .executeTakeFirst()
  return row?.csr_count ?? 0
}

/** What is sorted by, and how: each order, forwards and backwards, is one that an index has. */
function sortTerms(
  { orderBy, direction: wanted }: CsrQuery,
  direction: Direction,
): readonly (readonly [keyof SortedColumns, Direction])[] {
  const byAge = [
    ['created_at', direction],
    ['id', direction],
  ] as const
  if (orderBy === 'created_at') return byAge
  // Those without a name are last in either direction, so first when read from the end.
  return [['unnamed', direction === wanted ? 'asc' : 'desc'], ['name', direction], ...byAge]
}

/** The ids of a window, in its direction: read from an index alone. */
async function readIds(
  rows: SortableCsrs,
  query: CsrQuery,
  { direction, offset, limit }: Window,
): Promise<readonly string[]> {
  const sorted = sortTerms(query, direction).reduce(
    (sorting, [column, way]) => sorting.orderBy(column, way),
    rows.select('id').limit(limit).offset(offset),
  )
  return (await sorted.execute()).map(({ id }) => id)
}

/** The rows of a window on a list that is walked over from the nearer end. */
async function walk(
  rows: SortableCsrs,
  query: CsrQuery,
  window: Window,
  total: number,
): Promise<readonly string[]> {
  const nearer = fromNearerEnd(window, total)
  const ids = await readIds(rows, query, nearer)
  return nearer.direction === window.direction ? ids : ids.toReversed()
}

/** The rows of a window on all of a scope by age, wherever it is. */
async function jump(
  database: Kysely<Schema>,
  scope: Scope,
  query: CsrQuery,
  window: Window,
): Promise<readonly string[]> {
  const { direction, offset, limit } = window
  const start = await findStart(database, scope, direction, offset)
  if (start === undefined) return []
  const operator = direction === 'asc' ? '>=' : '<'
  const rows = sortable(database, scope, {}, 'created_at').where('created_at', operator, start.time)
  return readIds(rows, query, { direction, offset: start.offset, limit })
}

async function readRows(
  database: Kysely<Schema>,
  ids: readonly string[],
): Promise<readonly CsrRow[]> {
  if (ids.length === 0) return []
  const rows = await selectCsrs(database).where('csrs.id', 'in', ids).execute()
  const found = new Map(rows.map((row) => [row.id, toCsrRow(row)]))
  return ids.flatMap((id) => found.get(id) ?? [])
}

async function readPage(database: Kysely<Schema>, scope: Scope, query: CsrQuery): Promise<CsrPage> {
  const { filter = {}, orderBy, direction, offset } = query
  const all = isEmpty(filter)
  const total = all ? await countAll(database, scope) : await countFiltered(database, scope, filter)
  const limit = Math.min(query.limit, total - offset)
  if (limit <= 0) return { rows: [], total }
  const window = { direction, offset, limit }
  const ids =
    all && orderBy === 'created_at' && offset > SHORT_WALK
      ? await jump(database, scope, query, window)
      : await walk(sortable(database, scope, filter, orderBy), query, window, total)
  return { rows: await readRows(database, ids), total }
}

/** One page of a scope's CSRs, and how many there are in all, as of one moment. */
export async function listCsrs(
  database: Database,
  scope: Scope,
  query: CsrQuery,
): Promise<CsrPage> {
  const { filter = {} } = query
  if (!canBeStored(scope.id, filter.name, filter.commonName, filter.san)) {
    return { rows: [], total: 0 }
  }
  return database.snapshot((transaction) => readPage(transaction, scope, query))
}
