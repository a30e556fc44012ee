import {
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type QueryResult,
} from 'kysely'
import type { SqliteValue } from './messages.ts'
import type { SqliteThread } from './thread.ts'

/** Every transaction of SQLite can undo changes to tables, so migrations are in one. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

function toValue(value: unknown): SqliteValue {
  if (value === null || value === undefined) return null
  if (typeof value === 'string' || typeof value === 'number' || value instanceof Uint8Array) {
    return value
  }
  throw new TypeError(`SQLite has no value for a ${typeof value}`)
}

function connect(thread: SqliteThread): DatabaseConnection {
  return {
    async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
      const { rows, changes } = await thread.ask({ sql, parameters: parameters.map(toValue) })
      return { rows: rows as unknown as Row[], numAffectedRows: BigInt(changes) }
    },
    streamQuery() {
      throw new TypeError('this connection does not stream')
    },
  }
}

function createDriver(start: () => Promise<SqliteThread>): Driver {
  let thread: SqliteThread | undefined
  const current = (): SqliteThread => {
    if (thread === undefined) throw new Error('the driver has not been started')
    return thread
  }
  const run = async (sql: string): Promise<void> => {
    await current().ask({ sql, parameters: [] })
  }
  return {
    async init() {
      thread = await start()
    },
    // Kysely gives the one connection to one caller at a time.
    acquireConnection: async () => connect(current()),
    // A transaction that writes says so at once: to find out half-way that another process
    // writes too cannot be waited for.
    beginTransaction: (_connection, { accessMode }) =>
      run(accessMode === 'read only' ? 'begin' : 'begin immediate'),
    commitTransaction: () => run('commit'),
    async rollbackTransaction() {
      await current().ask({ rollback: true })
    },
    releaseConnection: async () => undefined,
    destroy: async () => thread?.close(),
  }
}

/** Kysely's view of a database in a thread of its own, which is started on first use. */
export function createSqliteDialect(start: () => Promise<SqliteThread>): Dialect {
  return {
    createDriver: () => createDriver(start),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: (): DialectAdapter => new TransactionalAdapter(),
    createIntrospector: (database) => new SqliteIntrospector(database),
  }
}
