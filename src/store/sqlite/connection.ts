import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { isBusy, readResultCode } from './result-codes.ts'
import type { OpenOptions, SqliteRequest, SqliteResult, SqliteRow } from './messages.ts'

/** How many statements are kept prepared; the store has fewer. */
const MAX_STATEMENTS = 500

/** Times to try to switch to WAL, which does not wait for others by itself. */
const WAL_ATTEMPTS = 200
const WAL_PAUSE_MS = 25

interface Prepared {
  readonly statement: StatementSync
  readonly answersRows: boolean
}

/** One connection, in the thread that may wait for it. */
export interface SqliteConnection {
  perform(request: SqliteRequest): SqliteResult
}

const NOTHING: SqliteResult = { rows: [], changes: 0 }

/** A connection; it has to be opened by the first request. */
export function createConnection(): SqliteConnection {
  let database: DatabaseSync | undefined
  const prepared = new Map<string, Prepared>()

  const current = (): DatabaseSync => {
    if (database === undefined) throw new Error('the database is not open')
    return database
  }
  return {
    perform(request) {
      if ('open' in request) database = open(request.open)
      else if ('rollback' in request) {
        // After a full disk, for one, SQLite has undone the transaction itself.
        if (current().isTransaction) current().exec('rollback')
      } else if ('close' in request) {
        database?.close()
        database = undefined
      } else {
        return run(prepare(current(), prepared, request.sql), request.parameters)
      }
      return NOTHING
    },
  }
}

function open({ file, busyTimeoutMs }: OpenOptions): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: busyTimeoutMs })
  try {
    if (file !== ':memory:') switchToWal(database)
    // An answer that was given survives a loss of power.
    database.exec('pragma synchronous = full')
    database.exec('pragma foreign_keys = on')
    // 64 MiB of pages, so that a deep page does not read the file again and again.
    database.exec('pragma cache_size = -65536')
    database.exec('pragma temp_store = memory')
    database.exec('pragma trusted_schema = off')
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

function switchToWal(database: DatabaseSync): void {
  for (let attempt = 1; ; attempt++) {
    try {
      database.exec('pragma journal_mode = wal')
      return
    } catch (error) {
      if (attempt === WAL_ATTEMPTS || !isBusy(readResultCode(error))) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, WAL_PAUSE_MS)
    }
  }
}

function prepare(database: DatabaseSync, prepared: Map<string, Prepared>, sql: string): Prepared {
  const known = prepared.get(sql)
  if (known !== undefined) return known
  const statement = database.prepare(sql)
  const entry = { statement, answersRows: statement.columns().length > 0 }
  if (prepared.size === MAX_STATEMENTS) prepared.clear()
  prepared.set(sql, entry)
  return entry
}

function run(
  { statement, answersRows }: Prepared,
  parameters: readonly (string | number | bigint | null | Uint8Array)[],
): SqliteResult {
  if (!answersRows) return { rows: [], changes: Number(statement.run(...parameters).changes) }
  const rows = statement.all(...parameters) as unknown as readonly SqliteRow[]
  return { rows, changes: rows.length }
}
