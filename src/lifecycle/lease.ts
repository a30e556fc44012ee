import { randomUUID } from 'node:crypto'
import type { Lease, Store } from '../store/store.ts'

/** How long nobody else may take over; much longer than the pauses of a busy process. */
const LEASE_MS = 15_000
const RENEWAL_MS = 5_000

export function newLease(owner: string = randomUUID()): Lease {
  return { owner, until: new Date(Date.now() + LEASE_MS) }
}

/**
 * Keeps the lease on a key while work goes on: a device may take minutes over an RSA key. Where the
 * lease is lost all the same, the store refuses what comes of the work.
 */
export async function whileLeased<Result>(
  store: Store,
  keyId: string,
  owner: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const timer = setInterval(() => {
    // A store that does not answer now will be asked again, and in the end by the work itself.
    store.renewLease(keyId, newLease(owner)).catch(() => undefined)
  }, RENEWAL_MS)
  try {
    return await work()
  } finally {
    clearInterval(timer)
  }
}
