import type { CallOptions } from '../csr/signing-key.ts'
import { waitFor } from './abort.ts'
import { openDatabase } from './database.ts'
import type { Engine } from './engine.ts'
import { createSqlStore } from './sql-store.ts'
import { parseStoreUri } from './store-uri.ts'
import type { Store } from './store.ts'

/** An engine and its driver are loaded when a URI first asks for them. */
async function loadEngine(uri: string): Promise<Engine> {
  const parsed = parseStoreUri(uri)
  if (parsed.engine === 'sqlite') {
    const { createSqliteEngine } = await import('./sqlite/engine.ts')
    return createSqliteEngine(parsed.path)
  }
  const { createPostgresEngine } = await import('./postgres/engine.ts')
  return createPostgresEngine(parsed)
}

async function open(uri: string): Promise<Store> {
  const engine = await loadEngine(uri)
  return createSqlStore(engine, await openDatabase(engine))
}

/**
 * Opens the store that a URI names: `sqlite:FILE`, `sqlite::memory:` or `postgres://…`, which may
 * say with `?max=` how many connections it may have. Creates and updates the tables; any number of
 * processes may do so at once.
 * @example
 * await using store = await openStore('sqlite:/var/lib/keystay/keystay.db')
 * @throws {KeystayError} `store_uri_invalid`, `store_newer`, `store_unavailable`,
 *   `store_read_only`, `store_full`, `store_failed`, `peer_missing`
 */
export async function openStore(uri: string, { signal }: CallOptions = {}): Promise<Store> {
  signal?.throwIfAborted()
  const opening = open(uri)
  try {
    return await waitFor(opening, signal)
  } catch (error) {
    // What is opened after nobody waits any more is closed again.
    if (signal?.aborted === true) void opening.then((store) => store.close()).catch(() => undefined)
    throw error
  }
}
