import type { Kysely, SelectQueryBuilder } from 'kysely'
import { scopeColumns } from './rows.ts'
import type { CsrsTable, Schema } from './schema.ts'
import type { CsrFilter, CsrQuery, Scope } from './store.ts'

/** What a CSR is sorted by. */
export type SortedColumns = Pick<CsrsTable, 'id' | 'unnamed' | 'name' | 'created_at'>

/** Rows to be sorted, of which a page is wanted. */
export type SortableCsrs = SelectQueryBuilder<{ rows: SortedColumns }, 'rows', object>

type Csrs = SelectQueryBuilder<Schema, 'csrs', object>

/** Whether a filter lets everything through. */
export function isEmpty({ name, commonName, san, keyType }: CsrFilter): boolean {
  return [name, commonName, san, keyType].every((value) => value === undefined)
}

function sansNamed(
  database: Kysely<Schema>,
  scope: Scope,
  san: string,
): SelectQueryBuilder<Schema, 'csr_sans', object> {
  const { scope_kind, scope_id } = scopeColumns(scope)
  return database
    .selectFrom('csr_sans')
    .where('csr_sans.scope_kind', '=', scope_kind)
    .where('csr_sans.scope_id', '=', scope_id)
    .where('csr_sans.name', '=', san.toLowerCase())
}

/** The CSRs of a scope, with a SAN if one is named. */
function inScope(database: Kysely<Schema>, scope: Scope, san: string | undefined): Csrs {
  const { scope_kind, scope_id } = scopeColumns(scope)
  const csrs: Csrs =
    san === undefined
      ? database.selectFrom('csrs')
      : // SQLite keeps no statistics, and would go through the whole scope; it takes a cross join
        // in the order in which it is written.
        sansNamed(database, scope, san)
          .crossJoin('csrs')
          .whereRef('csrs.id', '=', 'csr_sans.csr_id')
  return csrs.where('csrs.scope_kind', '=', scope_kind).where('csrs.scope_id', '=', scope_id)
}

/** The CSRs of a scope that a filter lets through. */
function filtered(database: Kysely<Schema>, scope: Scope, filter: CsrFilter): Csrs {
  const { name, commonName, san, keyType } = filter
  let csrs = inScope(database, scope, san)
  // `unnamed` comes before `name` in the index.
  if (name !== undefined) csrs = csrs.where('csrs.unnamed', '=', 0).where('csrs.name', '=', name)
  if (commonName !== undefined) csrs = csrs.where('csrs.common_name', '=', commonName)
  if (keyType !== undefined) csrs = csrs.where('csrs.key_type', '=', keyType)
  return csrs
}

/** How many CSRs a filter lets through. */
export async function countFiltered(
  database: Kysely<Schema>,
  scope: Scope,
  filter: CsrFilter,
): Promise<number> {
  const { san, ...others } = filter
  const rows =
    san !== undefined && isEmpty(others)
      ? sansNamed(database, scope, san).select((eb) => eb.fn.countAll<number>().as('count'))
      : filtered(database, scope, filter).select((eb) => eb.fn.countAll<number>().as('count'))
  return (await rows.executeTakeFirstOrThrow()).count
}

/**
 * The CSRs that a filter lets through, to be sorted. A filter that only few pass is applied first,
 * on the side: SQLite would rather walk along the order and try each row.
 */
export function sortable(
  database: Kysely<Schema>,
  scope: Scope,
  filter: CsrFilter,
  orderBy: CsrQuery['orderBy'],
): SortableCsrs {
  const { name, commonName, san } = filter
  if (san !== undefined && orderBy === 'created_at' && isEmpty({ ...filter, san: undefined })) {
    const sans = sansNamed(database, scope, san)
    return database.selectFrom(
      sans.select(['csr_sans.csr_id as id', 'csr_sans.created_at']).as('rows'),
    )
  }
  const rows = filtered(database, scope, filter).select([
    'csrs.id',
    'csrs.unnamed',
    'csrs.name',
    'csrs.created_at',
  ])
  if (isEmpty({ name, commonName, san })) return database.selectFrom(rows.as('rows'))
  return database
    .with(
      (cte) => cte('rows').materialized(),
      () => rows,
    )
    .selectFrom('rows')
}
