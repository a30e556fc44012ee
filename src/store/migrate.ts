import { Kysely, type Transaction } from 'kysely'
import { DEFAULT_MIGRATION_TABLE, Migrator } from 'kysely/migration'
import { KeystayError } from '../errors.ts'
import type { Engine } from './engine.ts'
import { toStoreError } from './failures.ts'
import { MIGRATION_NAMES, migrationsFor } from './migrations/index.ts'
import type { Schema } from './schema.ts'

/** The migrations that have run on a database, in their order; none on a new one. */
async function readMigrations(database: Kysely<Schema>): Promise<readonly string[]> {
  const tables = await database.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(({ name }) => name === DEFAULT_MIGRATION_TABLE)) return []
  const rows = await database
    .$extendTables<{ [DEFAULT_MIGRATION_TABLE]: { name: string } }>()
    .selectFrom(DEFAULT_MIGRATION_TABLE)
    .select('name')
    .orderBy('name')
    .execute()
  return rows.map(({ name }) => name)
}

/** Whether all migrations have run. @throws {KeystayError} `store_newer` */
async function isUpToDate(database: Kysely<Schema>, { uri }: Engine): Promise<boolean> {
  const names = await readMigrations(database)
  const unknown = names.filter((name) => !MIGRATION_NAMES.includes(name))
  if (unknown.length > 0) {
    throw new KeystayError(
      'store_newer',
      `the store ${uri} was written by a newer version of keystay (it has ${unknown.join(', ')}); ` +
        'use that version or a later one; nothing has been changed',
    )
  }
  return MIGRATION_NAMES.every((name) => names.includes(name))
}

async function runMigrations(transaction: Transaction<Schema>, engine: Engine): Promise<void> {
  await engine.lockMigrations(transaction)
  if (await isUpToDate(transaction, engine)) return
  const migrator = new Migrator({
    db: transaction,
    provider: { getMigrations: async () => migrationsFor(engine.name) },
  })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error as Error
}

/** Brings the tables up to date, in one transaction; one process at a time. */
async function migrate(engine: Engine, database: Kysely<Schema>): Promise<void> {
  if (await isUpToDate(database, engine)) return
  await database.transaction().execute((transaction) => runMigrations(transaction, engine))
}

/**
 * Brings the tables of a database up to date. Any number of processes may do so at once.
 * @throws {KeystayError} `store_newer`, and what the engine finds wrong
 */
export async function prepareTables(engine: Engine, database: Kysely<Schema>): Promise<void> {
  const { migrationDialect } = engine
  const own =
    migrationDialect === undefined ? undefined : new Kysely<Schema>({ dialect: migrationDialect })
  try {
    await migrate(engine, own ?? database)
  } catch (error) {
    throw toStoreError(engine, error)
  } finally {
    await own?.destroy()
  }
}
