import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { KeystayError } from '../../errors.ts'
import type { OpenOptions, SqliteReply, SqliteRequest, SqliteResult } from './messages.ts'

type WithoutId<Request> = Request extends SqliteRequest ? Omit<Request, 'id'> : never

/** A thread with a connection of its own. Requests run one after another. */
export interface SqliteThread {
  ask(request: WithoutId<SqliteRequest>): Promise<SqliteResult>
  /** Closes the database and ends the thread. */
  close(): Promise<void>
}

/** A failure of SQLite, as it came out of the thread. */
export class SqliteError extends Error {
  override readonly name = 'SqliteError'
  /** The extended result code (sqlite.org/rescode.html), where SQLite itself failed. */
  readonly resultCode: number | undefined

  constructor(message: string, resultCode: number | undefined) {
    super(message)
    this.resultCode = resultCode
  }
}

interface Waiting {
  readonly resolve: (result: SqliteResult) => void
  readonly reject: (error: Error) => void
}

/**
 * Where the thread's code is: beside this file in the source, or in the package's `dist`, where the
 * bundler moves shared code up to a chunk.
 */
function findWorker(): URL {
  const code = ['./worker.ts', './worker.js', './sqlite/worker.js', './store/sqlite/worker.js']
    .map((path) => new URL(path, import.meta.url))
    .find((url) => url.protocol === 'file:' && existsSync(url))
  if (code !== undefined) return code
  throw new KeystayError(
    'store_failed',
    'the file of the SQLite thread (store/sqlite/worker.js) is missing; do not bundle keystay/store, import it',
  )
}

/** Starts a thread and opens the database in it. */
export async function startSqliteThread(options: OpenOptions): Promise<SqliteThread> {
  // The program's own flags may not suit a worker: with --input-type, as for --eval, none starts.
  const worker = new Worker(findWorker(), { execArgv: [] })
  const exited = new Promise<void>((resolve) => {
    worker.once('exit', () => {
      resolve()
    })
  })
  const ask = speakTo(worker)
  const close = async (): Promise<void> => {
    // A thread that has failed is not there to answer.
    await ask({ close: true }).catch(() => worker.terminate())
    worker.ref()
    await exited
  }
  try {
    await ask({ open: options })
  } catch (error) {
    await worker.terminate()
    throw error
  }
  return { ask, close }
}

function speakTo(worker: Worker): SqliteThread['ask'] {
  const waiting = new Map<number, Waiting>()
  let lastId = 0
  let ended: Error | undefined
  const end = (error: Error): void => {
    ended ??= error
    for (const { reject } of waiting.values()) reject(ended)
    waiting.clear()
  }
  worker.on('message', (reply: SqliteReply) => {
    const pending = waiting.get(reply.id)
    waiting.delete(reply.id)
    // An idle thread does not keep the process alive.
    if (waiting.size === 0) worker.unref()
    if ('result' in reply) pending?.resolve(reply.result)
    else pending?.reject(new SqliteError(reply.failure.message, reply.failure.resultCode))
  })
  worker.on('error', (error) => {
    end(error instanceof Error ? error : new Error(String(error)))
  })
  worker.on('exit', () => {
    end(new SqliteError('the thread of the database has ended', undefined))
  })
  return (request) =>
    new Promise((resolve, reject) => {
      if (ended !== undefined) {
        reject(ended)
        return
      }
      const id = ++lastId
      waiting.set(id, { resolve, reject })
      if (waiting.size === 1) worker.ref()
      worker.postMessage({ id, ...request })
    })
}
