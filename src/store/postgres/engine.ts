import { PostgresAdapter, PostgresDialect, sql, type Dialect, type DialectAdapter } from 'kysely'
import type { Engine } from '../engine.ts'
import type { PostgresAddress } from '../store-uri.ts'
import { loadPg, type PgModule } from './peer.ts'
import { createPool, type PoolTimes } from './pool.ts'
import { reasonOfPgError } from './sql-states.ts'

/** Connections of one process; a server allows 100 in all unless told otherwise. */
const DEFAULT_CONNECTIONS = 10

const CALL_TIMES: PoolTimes = { connectMs: 10_000, statementMs: 15_000, silenceMs: 5_000 }

/** Migrations wait for one another, and may have many rows to change. */
const MIGRATION_TIMES: PoolTimes = { connectMs: 10_000, statementMs: 10 * 60_000, silenceMs: 5_000 }

/** Names the lock in `pg_locks`: "keys" in ASCII. */
const LOCK_ID = 0x6b65_7973

/** {@link Engine.lockMigrations} holds the lock, until the transaction ends. */
class LockedAdapter extends PostgresAdapter {
  override async acquireMigrationLock(): Promise<void> {
    // Held already.
  }

  override async releaseMigrationLock(): Promise<void> {
    // Goes with the transaction, also where that has failed and takes no statements any more.
  }
}

function createDialect(pg: PgModule, uri: string, max: number, times: PoolTimes): Dialect {
  const dialect = new PostgresDialect({ pool: async () => createPool(pg, uri, max, times) })
  return {
    createDriver: () => dialect.createDriver(),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createIntrospector: (database) => dialect.createIntrospector(database),
    createAdapter: (): DialectAdapter => new LockedAdapter(),
  }
}

/** A PostgreSQL database, through the optional peer `pg`. @throws {KeystayError} `peer_missing` */
export async function createPostgresEngine({
  address,
  shown,
  max = DEFAULT_CONNECTIONS,
}: PostgresAddress): Promise<Engine> {
  const pg = await loadPg()
  return {
    name: 'postgres',
    uri: shown,
    durable: true,
    dialect: createDialect(pg, address, max, CALL_TIMES),
    migrationDialect: createDialect(pg, address, 1, MIGRATION_TIMES),
    async lockMigrations(transaction) {
      await sql`select pg_advisory_xact_lock(${sql.lit(LOCK_ID)})`.execute(transaction)
    },
    reasonOf: reasonOfPgError,
  }
}
