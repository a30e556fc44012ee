import type { PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely'
import type { Pool, PoolClient, PoolConfig } from 'pg'
import type { PgModule } from './peer.ts'
import { endsConnection } from './sql-states.ts'

type PgTypes = PgModule['types']
type TypeId = Parameters<PgTypes['getTypeParser']>[0]

/** How long a connection, a free place in the pool, and a statement are waited for. */
export interface PoolTimes {
  readonly connectMs: number
  readonly statementMs: number
  /** Beyond that, for a server that does not say any more that it gave up. */
  readonly silenceMs: number
}

function poolConfig(
  pg: PgModule,
  uri: string,
  max: number,
  { connectMs, statementMs, silenceMs }: PoolTimes,
): PoolConfig {
  return {
    connectionString: uri,
    max,
    connectionTimeoutMillis: connectMs,
    statement_timeout: statementMs,
    query_timeout: statementMs + silenceMs,
    // A process that stops half-way must not keep others out of its rows.
    idle_in_transaction_session_timeout: statementMs,
    keepAlive: true,
    idleTimeoutMillis: 30_000,
    allowExitOnIdle: true,
    fallback_application_name: 'keystay',
    types: {
      // Times and counts are far below 2^53. Only here: the process may use pg for other things.
      getTypeParser: ((type: TypeId, format: 'text') =>
        type === pg.types.builtins.INT8
          ? Number
          : (pg.types.getTypeParser(type, format) as unknown)) as PgTypes['getTypeParser'],
    },
  }
}

/** A client that is not given back to the pool once its connection is of no use. */
function guardClient(client: PoolClient): PostgresPoolClient {
  let broken: Error | undefined
  const query = async <Row>(
    sql: string,
    parameters: readonly unknown[],
  ): Promise<PostgresQueryResult<Row>> => {
    // After a timeout the connection still waits for that answer; nothing else gets one.
    if (broken !== undefined) throw broken
    try {
      return (await client.query(sql, [...parameters])) as unknown as PostgresQueryResult<Row>
    } catch (error) {
      if (endsConnection(error)) broken = error as Error
      throw error
    }
  }
  return {
    query: query as PostgresPoolClient['query'],
    release: (destroy = false) => {
      client.release(destroy || broken !== undefined)
    },
  }
}

/** Connections to a server, as Kysely wants them. */
export function createPool(pg: PgModule, uri: string, max: number, times: PoolTimes): PostgresPool {
  const pool: Pool = new pg.Pool(poolConfig(pg, uri, max, times))
  // A connection may be lost at any time, also between statements: the next call finds out.
  const ignore = (): void => undefined
  pool.on('error', ignore)
  pool.on('connect', (client) => {
    client.on('error', ignore)
  })
  return {
    options: {},
    connect: async () => guardClient(await pool.connect()),
    end: () => pool.end(),
  }
}
