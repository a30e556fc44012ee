import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openStore, type Store } from '../../src/store/index.ts'
import { storeContract } from '../../src/testing/index.ts'
import { countOf } from '../../src/testing/store-contract/workbench.ts'
import { bindInSqlite } from '../support/bind-hostnames.ts'

// Stores that break a promise, made of one that keeps them all: the suite must find each out.

const LATE = new Date(8e15)
const EARLY = new Date(0)

type Broken = (store: Store) => Partial<Store>

/** By what is broken: the case that must fail, and how it is broken. */
const BROKEN: Readonly<Record<string, readonly [string, Broken]>> = {
  'fencing is ignored on completion': [
    'fencing: who lost the lease changes nothing any more',
    (store) => ({
      async completeCreation(finished) {
        const { lease } = (await store.getKey(finished.keyId)) ?? {}
        return store.completeCreation({ ...finished, owner: lease?.owner ?? finished.owner })
      },
    }),
  ],
  'fencing is ignored on abandoning': [
    'fencing: who lost the lease changes nothing any more',
    (store) => ({
      async abandonCreation(keyId, lease) {
        const key = await store.getKey(keyId)
        return store.abandonCreation(keyId, { ...lease, owner: key?.lease?.owner ?? lease.owner })
      },
    }),
  ],
  'the quota is not counted': [
    'quota: counts what exists and what is being created',
    (store) => ({
      beginCreation: (creation) => store.beginCreation({ ...creation, quota: undefined }),
    }),
  ],
  'the quota is counted before the transaction': [
    'quota: holds under 30 creations at once',
    (store) => ({
      async beginCreation({ quota = Infinity, ...creation }) {
        const count = await countOf(store, creation.scope)
        return count < quota ? store.beginCreation(creation) : { state: 'quota_exceeded', count }
      },
    }),
  ],
  'an account sees the zone of the same id': [
    'scopes: nothing is seen or touched across them',
    (store) => ({ getCsr: ({ id }, csrId) => store.getCsr({ kind: 'zone', id }, csrId) }),
  ],
  'scopes are trimmed in lists': [
    'scopes: nothing is seen or touched across them',
    (store) => ({
      listCsrs: (scope, query) => store.listCsrs({ ...scope, id: scope.id.trim() }, query),
    }),
  ],
  'scopes are compared without case on deletion': [
    'scopes: nothing is seen or touched across them',
    (store) => ({
      deleteCsr: (scope, id, deletion) =>
        store.deleteCsr({ ...scope, id: scope.id.toLowerCase() }, id, deletion),
    }),
  ],
  'the total is that of the page': [
    'listCsrs: every order, on pages of every size, each row once',
    (store) => ({
      async listCsrs(scope, query) {
        const { rows } = await store.listCsrs(scope, query)
        return { rows, total: rows.length }
      },
    }),
  ],
  'past the end the last page is given again': [
    'listCsrs: every order, on pages of every size, each row once',
    (store) => ({
      async listCsrs(scope, query) {
        const total = await countOf(store, scope)
        const offset = Math.max(0, Math.min(query.offset, total - query.limit))
        return store.listCsrs(scope, { ...query, offset })
      },
    }),
  ],
  'descending is ascending backwards, those without a name first': [
    'listCsrs: every order, on pages of every size, each row once',
    (store) => ({
      async listCsrs(scope, { direction, offset, limit, ...query }) {
        const all = { ...query, direction: 'asc', offset: 0, limit: 1000 } as const
        const { rows, total } = await store.listCsrs(scope, all)
        const sorted = direction === 'asc' ? rows : rows.toReversed()
        return { rows: sorted.slice(offset, offset + limit), total }
      },
    }),
  ],
  'a filter is left out': [
    'listCsrs: filters are exact, and all must hold',
    (store) => ({
      listCsrs: (scope, { filter, ...query }) =>
        store.listCsrs(scope, { ...query, filter: { ...filter, keyType: undefined } }),
    }),
  ],
  'fingerprints are not compared': [
    'idempotency: another request under the same key is told so',
    (store) => ({
      beginCreation: ({ idempotency, ...creation }) =>
        store.beginCreation({
          ...creation,
          ...(idempotency && { idempotency: { ...idempotency, fingerprint: 'same' } }),
        }),
    }),
  ],
  'idempotency keys are compared without case': [
    'idempotency: keys of other scopes are other keys',
    (store) => ({
      beginCreation: ({ idempotency, ...creation }) =>
        store.beginCreation({
          ...creation,
          ...(idempotency && {
            idempotency: { ...idempotency, key: idempotency.key.toLowerCase() },
          }),
        }),
    }),
  ],
  'claims never expire': [
    'idempotency: what is expired, or was given up, is free',
    (store) => ({ beginCreation: (creation) => store.beginCreation({ ...creation, now: EARLY }) }),
  ],
  'a lease is taken before it has ended': [
    'takeOver: only once the lease has ended, and only unfinished keys',
    (store) => ({ takeOver: (keyId, lease) => store.takeOver(keyId, lease, LATE) }),
  ],
  'a lost lease seems renewed': [
    'renewLease: for the owner, while there is work',
    () => ({ renewLease: async () => true }),
  ],
  'a scheduled key is gone at once': [
    'endDestruction: the row goes, or waits for the device',
    (store) => ({
      endDestruction: (keyId, _destruction, event) =>
        store.endDestruction(keyId, { state: 'destroyed' }, event),
    }),
  ],
  'keys under a lease seem left over': [
    'unfinishedKeys: those whose lease has ended, the oldest first',
    (store) => ({ unfinishedKeys: ({ limit }) => store.unfinishedKeys({ now: LATE, limit }) }),
  ],
  'the youngest left over is first': [
    'unfinishedKeys: those whose lease has ended, the oldest first',
    (store) => ({
      unfinishedKeys: async (options) => (await store.unfinishedKeys(options)).toReversed(),
    }),
  ],
  'purge takes everything': [
    'purge: what is over goes, what is not stays',
    (store) => ({ purge: () => store.purge(LATE) }),
  ],
  'purge takes nothing': [
    'purge: what is over goes, what is not stays',
    () => ({ purge: async () => undefined }),
  ],
  'events are always listed from the first': [
    'listEvents: page by page',
    (store) => ({
      listEvents: (scope, options) => store.listEvents(scope, { ...options, after: 0 }),
    }),
  ],
  'events of a CSR are those of its scope': [
    'listEvents: page by page',
    (store) => ({
      listEvents: (scope, { after = 0, limit }) => store.listEvents(scope, { after, limit }),
    }),
  ],
  'close does nothing': [
    'close: afterwards every call says so',
    () => ({ close: async () => undefined }),
  ],
  'signals are not heeded': [
    'ping: an aborted signal rejects with its reason',
    (store) => ({ ping: () => store.ping() }),
  ],
  'public keys are views of a pool': [
    'publicKey: is bytes and nothing more',
    (store) => ({
      async getKey(keyId) {
        const key = await store.getKey(keyId)
        return key && { ...key, publicKey: key.publicKey && Buffer.from(key.publicKey) }
      },
    }),
  ],
  'all hostnames in use are told': [
    'deleteCsr: refused while certificates use the key',
    (store) => ({
      async deleteCsr(scope, id, options) {
        const deletion = await store.deleteCsr(scope, id, options)
        if (deletion.state !== 'in_use') return deletion
        return { ...deletion, hostnames: [...deletion.hostnames, 'one-more.example'] }
      },
    }),
  ],
  'a deletion that is refused seems done': [
    'deleteCsr: a certificate bound meanwhile keeps its key',
    (store) => ({
      async deleteCsr(scope, id, options) {
        const deletion = await store.deleteCsr(scope, id, options)
        return deletion.state === 'in_use' ? { state: 'deleted', key: undefined } : deletion
      },
    }),
  ],
}

describe('the contract suite finds out that', () => {
  const directory = mkdtempSync(join(tmpdir(), 'keystay-broken-'))
  afterAll(() => {
    rmSync(directory, { recursive: true, force: true })
  })

  test.each(Object.entries(BROKEN))('%s', async (_name, [expected, breakStore]) => {
    const file = join(directory, `${crypto.randomUUID()}.db`)
    const bind = bindInSqlite(file)
    const run = async (open: () => Promise<Store>): Promise<unknown> => {
      const found = storeContract(open, { bind }).find(({ name }) => name === expected)
      expect(found, `there is no case “${expected}”`).toBeDefined()
      return found?.run()
    }
    const open = (): Promise<Store> => openStore(`sqlite:${file}`)
    expect(await run(open)).toEqual({ status: 'passed' })
    const failing = run(async () => {
      const store = await open()
      return { ...store, ...breakStore(store) }
    })
    await expect(failing).rejects.toThrow()
  })
})
