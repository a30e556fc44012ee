import assert from 'node:assert/strict'
import type { IdempotencyClaim, NewKey, Scope, Store } from '../../store/store.ts'
import {
  atOnce,
  begin,
  create,
  finish,
  isState,
  newKey,
  newLease,
  newScope,
  ownPast,
  remove,
  twoStores,
  type StoreCases,
} from './workbench.ts'

function claim(changes: Partial<IdempotencyClaim> = {}): IdempotencyClaim {
  const expiresAt = new Date(Date.now() + 60_000)
  return { key: 'a key', fingerprint: 'a'.repeat(64), expiresAt, ...changes }
}

async function again(
  store: Store,
  scope: Scope,
  idempotency: IdempotencyClaim,
  changes: Partial<NewKey> = {},
): ReturnType<Store['beginCreation']> {
  const creation = newKey(scope, { idempotency, ...changes })
  const start = await store.beginCreation(creation)
  if (start.state !== 'begun') {
    assert.equal(await store.getKey(creation.key.id), undefined, 'a key was written all the same')
  }
  return start
}

const other = claim({ fingerprint: 'b'.repeat(64) })

/** Cases about creating once what is asked for twice. */
export const idempotencyCases: StoreCases = {
  'idempotency: the same request is in progress, then completed, then deleted': async ({
    store,
    scope,
  }) => {
    const creation = await begin(store, scope, { idempotency: claim() })
    const during = await again(store, scope, claim())
    isState(during, 'in_progress')
    assert.deepEqual(during.key, await store.getKey(creation.key.id))

    const csr = await store.completeCreation(finish(creation))
    assert.ok(csr)
    assert.deepEqual(await again(store, scope, claim()), { state: 'completed', csr })
    await remove(store, scope, csr.id)
    assert.deepEqual(await again(store, scope, claim()), { state: 'deleted' })
  },

  'idempotency: another request under the same key is told so': async ({ store, scope }) => {
    const creation = await begin(store, scope, { idempotency: claim() })
    isState(await again(store, scope, other), 'fingerprint_differs')
    const csr = await store.completeCreation(finish(creation))
    isState(await again(store, scope, other), 'fingerprint_differs')
    await remove(store, scope, csr?.id ?? '')
    isState(await again(store, scope, other), 'fingerprint_differs')
  },

  'idempotency: keys of other scopes are other keys': async ({ store, scope }) => {
    await begin(store, scope, { idempotency: claim() })
    isState(await again(store, newScope(), other), 'begun')
    isState(await again(store, { ...scope, kind: 'account' }, other), 'begun')
    isState(await again(store, scope, claim({ key: 'A key' })), 'begun')
  },

  'idempotency: what is expired, or was given up, is free': async ({ store, scope }) => {
    const past = ownPast()
    const early = { now: past.at(0), idempotency: claim({ expiresAt: past.at(1000) }) }
    await create(store, scope, {}, early)
    isState(await again(store, scope, claim(), { now: past.at(999) }), 'completed')
    const later = newKey(scope, { idempotency: other, now: past.at(1001) })
    isState(await store.beginCreation(later), 'begun')
    isState(await again(store, scope, other, { now: past.at(1001) }), 'in_progress')

    assert.equal(await store.abandonCreation(later.key.id, later.lease), true)
    isState(await again(store, scope, claim(), { now: past.at(1002) }), 'begun')
  },

  'idempotency: a creation that outlived its claim does not take the new one': async ({
    store,
    scope,
  }) => {
    const past = ownPast()
    const early = { now: past.at(0), idempotency: claim({ expiresAt: past.at(1000) }) }
    const slow = await begin(store, scope, early)
    await begin(store, scope, { now: past.at(1001), idempotency: other })
    assert.ok(await store.completeCreation(finish(slow)))
    isState(await again(store, scope, other, { now: past.at(1002) }), 'in_progress')
  },

  'idempotency: an answer is repeated also where the quota is full': async ({ store, scope }) => {
    await create(store, scope, {}, { quota: 1, idempotency: claim() })
    isState(await again(store, scope, claim(), { quota: 1 }), 'completed')
    isState(await again(store, scope, claim({ key: 'new' }), { quota: 1 }), 'quota_exceeded')
  },

  'idempotency: who takes over fulfils the claim': async ({ store, scope }) => {
    const lease = newLease('the first', -1000)
    const creation = await begin(store, scope, { lease, idempotency: claim() })
    const taken = newLease('the second')
    assert.ok(await store.takeOver(creation.key.id, taken, new Date()))
    const csr = await store.completeCreation(finish({ ...creation, lease: taken }))
    assert.deepEqual(await again(store, scope, claim()), { state: 'completed', csr })
  },

  'idempotency: the same 50 times at once begins once': async (bench) => {
    const { scope } = bench
    for (const quota of [undefined, 10]) {
      const idempotency = claim({ key: `quota ${String(quota)}` })
      const starts = await atOnce(50, await twoStores(bench), (store) =>
        again(store, scope, idempotency, { quota }),
      )
      const states = starts.map(({ state }) => state)
      const begun = states.filter((state) => state === 'begun').length
      assert.equal(begun, 1, `${begun} creations began under one idempotency key`)
      assert.equal(states.filter((state) => state === 'in_progress').length, 49)
    }
  },
}
