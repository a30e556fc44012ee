import { parentPort } from 'node:worker_threads'
import { createConnection } from './connection.ts'
import type { SqliteReply, SqliteRequest } from './messages.ts'
import { readResultCode } from './result-codes.ts'

const connection = createConnection()

function answer(request: SqliteRequest): SqliteReply {
  const { id } = request
  try {
    return { id, result: connection.perform(request) }
  } catch (error) {
    const { message } = error as Error
    return { id, failure: { message, resultCode: readResultCode(error) } }
  }
}

parentPort?.on('message', (request: SqliteRequest) => {
  parentPort?.postMessage(answer(request))
  // Nothing more will come: without a port the thread ends.
  if ('close' in request) parentPort?.close()
})
