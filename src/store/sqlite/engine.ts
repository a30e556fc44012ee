import { resolve } from 'node:path'
import type { Engine, FailureReason } from '../engine.ts'
import { createSqliteDialect } from './dialect.ts'
import { createFile } from './file.ts'
import { reasonOfResultCode } from './result-codes.ts'
import { SqliteError, startSqliteThread } from './thread.ts'

/** How long a call waits for other processes that write to the same file. */
const BUSY_TIMEOUT_MS = 15_000

function reasonOf(error: unknown): FailureReason {
  if (!(error instanceof SqliteError)) return 'other'
  return error.resultCode === undefined ? 'unavailable' : reasonOfResultCode(error.resultCode)
}

/** A SQLite database, in a thread of its own. @param path a file, or `:memory:` */
export function createSqliteEngine(path: string): Engine {
  const durable = path !== ':memory:'
  // Absolute, so that SQLite never takes it for a URI with options of its own.
  const file = durable ? resolve(path) : path
  const uri = `sqlite:${file}`
  return {
    name: 'sqlite',
    uri,
    durable,
    dialect: createSqliteDialect(async () => {
      if (durable) createFile(file, uri)
      return startSqliteThread({ file, busyTimeoutMs: BUSY_TIMEOUT_MS })
    }),
    migrationDialect: undefined,
    // To begin has locked it: see the driver.
    lockMigrations: async () => undefined,
    reasonOf,
  }
}
