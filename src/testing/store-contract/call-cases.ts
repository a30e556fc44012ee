import assert from 'node:assert/strict'
import type { Store } from '../../store/store.ts'
import { notSupported, rejects } from '../contract/workbench.ts'
import {
  begin,
  countOf,
  create,
  finish,
  newKey,
  newLease,
  remove,
  type StoreBench,
  type StoreCases,
} from './workbench.ts'

/** A call of each kind. */
function everyCall({
  store,
  scope,
}: Pick<StoreBench, 'store' | 'scope'>): readonly (readonly [
  keyof Store,
  () => Promise<unknown>,
])[] {
  const id = crypto.randomUUID()
  return [
    ['ping', () => store.ping()],
    ['rememberBackend', () => store.rememberBackend({ uri: 'contract:', address: 'x' })],
    ['backendAddress', () => store.backendAddress('contract:')],
    ['beginCreation', () => store.beginCreation(newKey(scope))],
    ['renewLease', () => store.renewLease(id, newLease())],
    ['takeOver', () => store.takeOver(id, newLease(), new Date())],
    ['completeCreation', () => store.completeCreation(finish(newKey(scope)))],
    ['getCsr', () => store.getCsr(scope, id)],
    ['listCsrs', () => countOf(store, scope)],
    ['deleteCsr', () => remove(store, scope, id)],
    ['abandonCreation', () => store.abandonCreation(id, newLease())],
    ['endDestruction', () => store.endDestruction(id, { state: 'destroyed' })],
    ['getKey', () => store.getKey(id)],
    ['unfinishedKeys', () => store.unfinishedKeys({ now: new Date(0), limit: 1 })],
    ['newestKey', () => store.newestKey('contract:')],
    ['purge', () => store.purge(new Date(0))],
    ['listEvents', () => store.listEvents(scope, { limit: 1 })],
  ]
}

/** Cases about calls in general: closing, aborting, opening again. */
export const callCases: StoreCases = {
  'ping: answers': async ({ store }) => {
    await store.ping()
    await store.ping({ signal: new AbortController().signal })
  },

  'ping: an aborted signal rejects with its reason': async ({ store }) => {
    const reason = new Error('enough')
    for (const signal of [AbortSignal.abort(reason), abortSoon(reason)]) {
      await store.ping({ signal }).then(
        () => {
          assert.ok(!signal.aborted, 'ping resolves, though its signal was aborted before')
        },
        (error: unknown) => {
          assert.equal(error, reason)
        },
      )
    }
    await store.ping()
  },

  'uri: names the store, without a password': async ({ store, reopen }) => {
    assert.match(store.uri, /^[a-z][a-z0-9+.-]*:/)
    assert.doesNotMatch(store.uri, /:\/\/[^/@]*:[^/@]*@/, 'the URI has a password')
    if (store.durable) assert.equal((await reopen()).uri, store.uri)
  },

  'publicKey: is bytes and nothing more': async ({ store, scope }) => {
    const { key } = await create(store, scope)
    const { publicKey } = (await store.getKey(key.id)) ?? {}
    assert.equal(Object.getPrototypeOf(publicKey), Uint8Array.prototype)
    assert.equal(publicKey?.buffer.byteLength, 91, 'more is in memory than belongs to the key')
  },

  'rows: still there when the store is opened again': async ({ store, scope, reopen }) => {
    if (!store.durable) notSupported('rows die with the store here (durable)')
    const row = await create(store, scope)
    const beside = await reopen()
    assert.deepEqual(await beside.getCsr(scope, row.id), row)
    await store.close()
    assert.deepEqual(await beside.getCsr(scope, row.id), row)
    await beside.close()
    assert.deepEqual(await (await reopen()).getCsr(scope, row.id), row)
  },

  'close: twice, and at once': async ({ store }) => {
    await Promise.all([store.close(), store.close()])
    await store.close()
    await store[Symbol.asyncDispose]()
  },

  'close: afterwards every call says so': async ({ store, scope }) => {
    await store.close()
    for (const [name, call] of everyCall({ store, scope })) {
      await rejects(call(), `${String(name)} after close`, 'store_closed')
    }
  },

  'close: waits for calls that are under way': async ({ store, scope }) => {
    const creations = await Promise.all([1, 2, 3].map(() => begin(store, scope)))
    const ended: string[] = []
    const calls = creations.map(async (creation) => {
      assert.ok(await store.completeCreation(finish(creation)))
      ended.push('call')
    })
    const closing = store.close().then(() => ended.push('close'))
    await Promise.all([...calls, closing])
    assert.deepEqual(ended, ['call', 'call', 'call', 'close'])
  },
}

function abortSoon(reason: Error): AbortSignal {
  const controller = new AbortController()
  queueMicrotask(() => {
    controller.abort(reason)
  })
  return controller.signal
}
