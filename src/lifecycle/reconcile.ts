import { randomUUID } from 'node:crypto'
import type { KeyRow } from '../store/store.ts'
import { destroyKey } from './destroy-key.ts'
import { newLease } from './lease.ts'
import type { ServiceParts } from './parts.ts'

/** What `reconcile` did. */
export interface Reconciliation {
  /** Keys that a crash or a silent device had left, and that are gone now, or scheduled to go. */
  readonly finished: readonly string[]
  /** Keys, by their row's id, that could not be finished now, and why. */
  readonly failed: readonly { readonly keyId: string; readonly error: unknown }[]
}

const BATCH = 100

/**
 * Finishes what crashes left: keys that no CSR came to own, and destructions that were not answered.
 * Several may do so at once; each key is one's alone.
 */
export async function reconcile(parts: ServiceParts): Promise<Reconciliation> {
  const { store } = parts
  const finished: string[] = []
  const failed: { keyId: string; error: unknown }[] = []
  const seen = new Set<string>()
  for (;;) {
    const now = new Date()
    const rows = await store.unfinishedKeys({ now, limit: BATCH + seen.size })
    const todo = rows.filter(({ id }) => !seen.has(id))
    if (todo.length === 0) break
    for (const row of todo) {
      seen.add(row.id)
      try {
        if (await finishKey(parts, row, now)) finished.push(row.id)
      } catch (error) {
        failed.push({ keyId: row.id, error })
      }
    }
  }
  await store.purge(new Date())
  return { finished, failed }
}

async function finishKey(parts: ServiceParts, { id }: KeyRow, now: Date): Promise<boolean> {
  const { store } = parts
  const owner = randomUUID()
  const row = await store.takeOver(id, newLease(owner), now)
  if (row === undefined) return false
  if (row.state === 'creating' && !(await store.abandonCreation(id, newLease(owner)))) return false
  await destroyKey(parts, row, owner)
  return true
}
