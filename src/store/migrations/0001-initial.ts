import { sql, type CreateTableBuilder, type Kysely, type RawBuilder } from 'kysely'
import type { EngineName } from '../engine.ts'
import { refuseChanges } from './append-only.ts'
import { columnTypes, type ColumnTypes } from './column-types.ts'

// Migrations are frozen: they describe the tables as they were, so they do not use `Schema`.
type Database = Kysely<unknown>

const SCOPE_KINDS = ['zone', 'account']
const KEY_STATES = ['creating', 'assigned', 'destroying', 'scheduled']
const HOSTNAME_STATES = [
  'pending_deployment',
  'active',
  'pending_deletion',
  'deleted',
  'pending_expiration',
  'expired',
]

function isOneOf(column: string, values: readonly string[]): RawBuilder<boolean> {
  return sql<boolean>`${sql.ref(column)} in (${sql.join(values.map((value) => sql.lit(value)))})`
}

/** A table whose columns have the types that they are declared with, in SQLite too. */
async function create<Name extends string, Columns extends string>(
  { tableEnd }: ColumnTypes,
  table: CreateTableBuilder<Name, Columns>,
): Promise<void> {
  await (tableEnd === undefined ? table : table.modifyEnd(tableEnd)).execute()
}

async function index(
  database: Database,
  table: string,
  name: string,
  columns: readonly string[],
): Promise<void> {
  const indexName = `${table}_${name}`
  await sql`create index ${sql.ref(indexName)} on ${sql.table(table)} (${sql.raw(columns.join(', '))})`.execute(
    database,
  )
}

async function createScopes(database: Database, types: ColumnTypes): Promise<void> {
  const { text, integer } = types
  await create(
    types,
    database.schema
      .createTable('scopes')
      .addColumn('kind', text, (column) => column.notNull())
      .addColumn('id', text, (column) => column.notNull())
      .addColumn('csr_count', integer, (column) => column.notNull())
      .addPrimaryKeyConstraint('scopes_pk', ['kind', 'id'])
      .addCheckConstraint('scopes_kind', isOneOf('kind', SCOPE_KINDS))
      .addCheckConstraint('scopes_csr_count', sql`csr_count >= 0`),
  )
  await create(
    types,
    database.schema
      .createTable('backends')
      .addColumn('uri', text, (column) => column.notNull().primaryKey())
      .addColumn('address', text, (column) => column.notNull()),
  )
}

async function createKeys(database: Database, types: ColumnTypes): Promise<void> {
  const { text, integer, bytes } = types
  await create(
    types,
    database.schema
      .createTable('keys')
      .addColumn('id', text, (column) => column.notNull().primaryKey())
      .addColumn('label', text, (column) => column.notNull().unique())
      .addColumn('backend', text, (column) => column.notNull())
      .addColumn('uri', text)
      .addColumn('key_type', text, (column) => column.notNull())
      .addColumn('public_key', bytes)
      .addColumn('attestation', text)
      .addColumn('state', text, (column) => column.notNull())
      .addColumn('destroyed_at', integer)
      .addColumn('scope_kind', text)
      .addColumn('scope_id', text)
      .addColumn('lease_owner', text)
      .addColumn('lease_until', integer)
      .addColumn('created_at', integer, (column) => column.notNull())
      .addUniqueConstraint('keys_id_state', ['id', 'state'])
      .addCheckConstraint('keys_state', isOneOf('state', KEY_STATES))
      .addCheckConstraint('keys_scope_kind', isOneOf('scope_kind', SCOPE_KINDS))
      .addCheckConstraint('keys_scope', sql`(scope_kind is null) = (scope_id is null)`)
      .addCheckConstraint(
        'keys_assigned',
        sql`state <> 'assigned' or (uri is not null and public_key is not null and attestation is not null)`,
      )
      .addCheckConstraint(
        'keys_lease',
        sql`(state in ('creating', 'destroying')) = (lease_owner is not null)
          and (lease_owner is null) = (lease_until is null)`,
      )
      .addCheckConstraint(
        'keys_destroyed_at',
        sql`(state = 'scheduled') = (destroyed_at is not null)`,
      ),
  )
  await index(database, 'keys', 'by_backend', ['backend', 'state', 'created_at'])
  await sql`create index keys_unfinished on keys (created_at, id)
    where state in ('creating', 'destroying')`.execute(database)
  await sql`create index keys_creating on keys (scope_kind, scope_id)
    where state = 'creating'`.execute(database)
  await sql`create index keys_scheduled on keys (destroyed_at)
    where state = 'scheduled'`.execute(database)
}

async function createCsrs(database: Database, types: ColumnTypes): Promise<void> {
  const { text, integer } = types
  await create(
    types,
    database.schema
      .createTable('csrs')
      .addColumn('id', text, (column) => column.notNull().primaryKey())
      .addColumn('scope_kind', text, (column) => column.notNull())
      .addColumn('scope_id', text, (column) => column.notNull())
      .addColumn('account_tag', text)
      .addColumn('key_id', text, (column) => column.notNull())
      .addColumn('key_state', text, (column) => column.notNull())
      .addColumn('key_type', text, (column) => column.notNull())
      .addColumn('name', text)
      .addColumn('unnamed', integer, (column) => column.notNull())
      .addColumn('description', text)
      .addColumn('common_name', text, (column) => column.notNull())
      .addColumn('subject', text, (column) => column.notNull())
      .addColumn('sans', text, (column) => column.notNull())
      .addColumn('csr', text, (column) => column.notNull())
      .addColumn('created_at', integer, (column) => column.notNull())
      .addCheckConstraint('csrs_scope_kind', isOneOf('scope_kind', SCOPE_KINDS))
      .addCheckConstraint('csrs_unnamed', sql`unnamed = case when name is null then 1 else 0 end`)
      // With the foreign key: while a CSR points at a key, its state cannot change.
      .addCheckConstraint('csrs_key_state', sql`key_state = 'assigned'`)
      .addForeignKeyConstraint(
        'csrs_key',
        ['key_id', 'key_state'],
        'keys',
        ['id', 'state'],
        (key) => key.onDelete('restrict').onUpdate('restrict'),
      ),
  )
  const inScope = ['scope_kind', 'scope_id']
  const byAge = ['created_at', 'id']
  await index(database, 'csrs', 'by_created_at', [...inScope, ...byAge])
  await index(database, 'csrs', 'by_name', [...inScope, 'unnamed', 'name', ...byAge])
  await index(database, 'csrs', 'by_name_desc', [
    ...inScope,
    'unnamed',
    ...['name', ...byAge].map((column) => `${column} desc`),
  ])
  await index(database, 'csrs', 'by_common_name', [...inScope, 'common_name', ...byAge])
  await index(database, 'csrs', 'by_key_type', [...inScope, 'key_type', ...byAge])
  await index(database, 'csrs', 'by_key', ['key_id'])
}

async function createSans(database: Database, types: ColumnTypes): Promise<void> {
  const { text, integer } = types
  await create(
    types,
    database.schema
      .createTable('csr_sans')
      .addColumn('csr_id', text, (column) =>
        column.notNull().references('csrs.id').onDelete('cascade'),
      )
      .addColumn('scope_kind', text, (column) => column.notNull())
      .addColumn('scope_id', text, (column) => column.notNull())
      .addColumn('name', text, (column) => column.notNull())
      .addColumn('created_at', integer, (column) => column.notNull())
      .addPrimaryKeyConstraint('csr_sans_pk', ['csr_id', 'name']),
  )
  await index(database, 'csr_sans', 'by_name', [
    'scope_kind',
    'scope_id',
    'name',
    'created_at',
    'csr_id',
  ])
}

async function createCounts(database: Database, types: ColumnTypes): Promise<void> {
  const { text, integer } = types
  await create(
    types,
    database.schema
      .createTable('csr_counts')
      .addColumn('scope_kind', text, (column) => column.notNull())
      .addColumn('scope_id', text, (column) => column.notNull())
      .addColumn('width', integer, (column) => column.notNull())
      .addColumn('bucket', integer, (column) => column.notNull())
      .addColumn('csr_count', integer, (column) => column.notNull())
      .addPrimaryKeyConstraint('csr_counts_pk', ['scope_kind', 'scope_id', 'width', 'bucket'])
      .addCheckConstraint('csr_counts_csr_count', sql`csr_count >= 0`),
  )
}

async function createCertificates(database: Database, types: ColumnTypes): Promise<void> {
  const { text, integer } = types
  await create(
    types,
    database.schema
      .createTable('certificates')
      .addColumn('id', text, (column) => column.notNull().primaryKey())
      .addColumn('csr_id', text, (column) =>
        column.notNull().references('csrs.id').onDelete('restrict'),
      )
      .addColumn('chain', text, (column) => column.notNull())
      .addColumn('sha256', text, (column) => column.notNull())
      .addColumn('issuer', text, (column) => column.notNull())
      .addColumn('serial_number', text, (column) => column.notNull())
      .addColumn('signature', text, (column) => column.notNull())
      .addColumn('not_before', integer, (column) => column.notNull())
      .addColumn('not_after', integer, (column) => column.notNull())
      .addColumn('uploaded_at', integer, (column) => column.notNull())
      .addUniqueConstraint('certificates_once', ['csr_id', 'sha256']),
  )
  await index(database, 'certificates', 'by_not_after', ['not_after'])
}

async function createHostnames(database: Database, types: ColumnTypes): Promise<void> {
  const { text, integer } = types
  await create(
    types,
    database.schema
      .createTable('hostnames')
      .addColumn('id', text, (column) => column.notNull().primaryKey())
      .addColumn('zone_id', text, (column) => column.notNull())
      .addColumn('hostname', text, (column) => column.notNull())
      .addColumn('certificate_id', text, (column) =>
        column.notNull().references('certificates.id').onDelete('restrict'),
      )
      .addColumn('status', text, (column) => column.notNull())
      .addColumn('custom_metadata', text)
      .addColumn('created_at', integer, (column) => column.notNull())
      .addUniqueConstraint('hostnames_once', ['zone_id', 'hostname'])
      .addCheckConstraint('hostnames_status', isOneOf('status', HOSTNAME_STATES)),
  )
  await index(database, 'hostnames', 'by_created_at', ['zone_id', 'created_at', 'id'])
  await index(database, 'hostnames', 'by_certificate', ['certificate_id', 'hostname'])
}

async function createIdempotency(database: Database, types: ColumnTypes): Promise<void> {
  const { text, integer } = types
  await create(
    types,
    database.schema
      .createTable('idempotency')
      .addColumn('scope_kind', text, (column) => column.notNull())
      .addColumn('scope_id', text, (column) => column.notNull())
      .addColumn('key', text, (column) => column.notNull())
      .addColumn('fingerprint', text, (column) => column.notNull())
      // No foreign keys: what becomes of the claim is told by whether these rows are still there.
      .addColumn('key_id', text, (column) => column.notNull())
      .addColumn('csr_id', text)
      .addColumn('expires_at', integer, (column) => column.notNull())
      .addPrimaryKeyConstraint('idempotency_pk', ['scope_kind', 'scope_id', 'key'])
      .addCheckConstraint('idempotency_scope_kind', isOneOf('scope_kind', SCOPE_KINDS)),
  )
  await index(database, 'idempotency', 'by_key_id', ['key_id'])
  await index(database, 'idempotency', 'by_expires_at', ['expires_at'])
}

async function createEvents(database: Database, types: ColumnTypes): Promise<void> {
  const { text, integer, sequence } = types
  await create(
    types,
    database.schema
      .createTable('events')
      .addColumn('sequence', integer, sequence)
      .addColumn('type', text, (column) => column.notNull())
      .addColumn('scope_kind', text, (column) => column.notNull())
      .addColumn('scope_id', text, (column) => column.notNull())
      .addColumn('actor', text, (column) => column.notNull())
      .addColumn('at', integer, (column) => column.notNull())
      .addColumn('csr_id', text)
      .addColumn('key_id', text)
      .addColumn('details', text)
      .addCheckConstraint('events_scope_kind', isOneOf('scope_kind', SCOPE_KINDS)),
  )
  const inScope = ['scope_kind', 'scope_id']
  await index(database, 'events', 'by_scope', [...inScope, 'sequence'])
  await index(database, 'events', 'by_csr', [...inScope, 'csr_id', 'sequence'])
}

/**
 * An index alone answers only for pages that have been vacuumed since they were written. Once a
 * fifth of the table is new, the default, would be too late for long lists.
 */
async function vacuumOften(database: Database): Promise<void> {
  for (const table of ['csrs', 'csr_sans']) {
    await sql`alter table ${sql.table(table)} set (
      autovacuum_vacuum_insert_scale_factor = 0.02,
      autovacuum_analyze_scale_factor = 0.02
    )`.execute(database)
  }
}

/** The tables of custom CSRs, and those that certificates and hostnames will need. */
export async function createInitialSchema(database: Database, engine: EngineName): Promise<void> {
  const types = columnTypes(engine)
  await createScopes(database, types)
  await createKeys(database, types)
  await createCsrs(database, types)
  await createSans(database, types)
  await createCounts(database, types)
  await createCertificates(database, types)
  await createHostnames(database, types)
  await createIdempotency(database, types)
  await createEvents(database, types)
  await refuseChanges(database, engine, 'events')
  if (engine === 'postgres') await vacuumOften(database)
}
