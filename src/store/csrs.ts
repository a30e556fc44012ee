import type { Kysely, SelectQueryBuilder } from 'kysely'
import { scopeColumns, toCsrRow, type SelectedCsr } from './rows.ts'
import type { Schema } from './schema.ts'
import type { CsrRow, Scope } from './store.ts'

const CSR_COLUMNS = [
  'csrs.id',
  'csrs.scope_kind',
  'csrs.scope_id',
  'csrs.account_tag',
  'csrs.key_id',
  'csrs.name',
  'csrs.description',
  'csrs.subject',
  'csrs.sans',
  'csrs.csr',
  'csrs.created_at',
  'keys.key_type',
  'keys.backend',
  'keys.uri',
  'keys.state',
  'keys.attestation',
] as const

/** CSRs with what is known of their keys. */
export function selectCsrs(
  database: Kysely<Schema>,
): SelectQueryBuilder<Schema, 'csrs' | 'keys', SelectedCsr> {
  return database.selectFrom('csrs').innerJoin('keys', 'keys.id', 'csrs.key_id').select(CSR_COLUMNS)
}

/** One CSR of a scope. */
export async function readCsr(
  database: Kysely<Schema>,
  scope: Scope,
  id: string,
): Promise<CsrRow | undefined> {
  const { scope_kind, scope_id } = scopeColumns(scope)
  const row = await selectCsrs(database)
    .where('csrs.id', '=', id)
    .where('csrs.scope_kind', '=', scope_kind)
    .where('csrs.scope_id', '=', scope_id)
    .executeTakeFirst()
  return row && toCsrRow(row)
}
