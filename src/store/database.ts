import { setTimeout as wait } from 'node:timers/promises'
import { Kysely, type Transaction } from 'kysely'
import { createCallGate } from '../key/call-gate.ts'
import { KeystayError } from '../errors.ts'
import type { Engine } from './engine.ts'
import { toStoreError } from './failures.ts'
import { prepareTables } from './migrate.ts'
import type { Schema } from './schema.ts'

/** Tries at a transaction that others were in the way of. */
const ATTEMPTS = 8

/** Thrown to undo all that a transaction wrote, and answer all the same. */
class Undo extends Error {
  readonly answer: unknown

  constructor(answer: unknown) {
    super('the transaction was undone')
    this.answer = answer
  }
}

/** Ends a transaction: nothing of it is kept, and its caller gets `answer`. */
export function undo(answer: unknown): never {
  throw new Undo(answer)
}

/** The database as the parts of the store see it. Everything rejects with a `KeystayError`. */
export interface Database {
  /** Statements that happen all, or none; once more where others were in the way. */
  write<Result>(work: (transaction: Transaction<Schema>) => Promise<Result>): Promise<Result>
  /** Statements that see the rows as of one moment. */
  snapshot<Result>(work: (transaction: Transaction<Schema>) => Promise<Result>): Promise<Result>
  /** One statement, which needs no transaction. */
  single<Result>(work: (database: Kysely<Schema>) => Promise<Result>): Promise<Result>
  /** Whether a transaction failed because another row refers to one that was to go. */
  isReferenced(error: unknown): boolean
  /** Waits for calls that are under way, then ends connections. Idempotent. */
  close(): Promise<void>
}

/** Opens a database and brings its tables up to date. */
export async function openDatabase(engine: Engine): Promise<Database> {
  const kysely = new Kysely<Schema>({ dialect: engine.dialect })
  try {
    await prepareTables(engine, kysely)
  } catch (error) {
    await kysely.destroy().catch(() => undefined)
    throw error
  }
  return createDatabase(engine, kysely)
}

function createDatabase(engine: Engine, kysely: Kysely<Schema>): Database {
  const gate = createCallGate(
    () =>
      new KeystayError('store_closed', `the store ${engine.uri} has been closed; open it again`),
  )
  let ended: Promise<void> | undefined
  const call = <Result>(work: () => Promise<Result>): Promise<Result> =>
    gate.run(undefined, async () => {
      try {
        return await repeat(engine, work)
      } catch (error) {
        if (error instanceof Undo) return error.answer as Result
        throw toStoreError(engine, error)
      }
    })
  return {
    write: (work) => call(() => kysely.transaction().execute(work)),
    snapshot: (work) =>
      call(() =>
        kysely
          .transaction()
          .setIsolationLevel('repeatable read')
          .setAccessMode('read only')
          .execute(work),
      ),
    single: (work) => call(() => work(kysely)),
    isReferenced: (error) =>
      error instanceof Error && engine.reasonOf(error.cause) === 'referenced',
    async close() {
      await gate.close()
      ended ??= kysely.destroy()
      await ended
    },
  }
}

async function repeat<Result>(engine: Engine, work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (attempt === ATTEMPTS || engine.reasonOf(error) !== 'conflict') throw error
      // Those that collided shall not do so again at once.
      await wait(Math.random() * 5 * 2 ** attempt)
    }
  }
}
