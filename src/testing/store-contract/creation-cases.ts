import assert from 'node:assert/strict'
import { rejects } from '../contract/workbench.ts'
import {
  atOnce,
  begin,
  countOf,
  create,
  finish,
  isState,
  newKey,
  newLease,
  newScope,
  remove,
  twoStores,
  type StoreCases,
} from './workbench.ts'

/** Cases about making CSRs, and about how many there may be. */
export const creationCases: StoreCases = {
  'beginCreation: the key has a row before it exists': async ({ store, scope }) => {
    const { key, lease, now } = await begin(store, scope)
    assert.deepEqual(await store.getKey(key.id), {
      ...key,
      uri: undefined,
      publicKey: undefined,
      attestation: undefined,
      state: 'creating',
      destroyedAt: undefined,
      scope,
      lease,
      createdAt: now,
    })
    assert.equal(await countOf(store, scope), 0, 'a CSR is counted that does not exist yet')
  },

  'beginCreation: a label is taken once': async ({ store, scope }) => {
    const { key } = await begin(store, scope)
    const same = newKey(scope, { key: { ...key, id: crypto.randomUUID() } })
    await rejects(store.beginCreation(same), 'a second key of the same label')
    assert.equal(await store.getKey(same.key.id), undefined)
  },

  'completeCreation: everything is kept as it was given': async ({ store }) => {
    for (const kind of ['zone', 'account'] as const) {
      const scope = newScope(kind)
      const creation = await begin(store, scope, { now: new Date(1_700_000_000_123) })
      const finished = finish(creation, {
        accountTag: 'an-account',
        name: 'Ünïcode ✓ 😀',
        description: 'two\nlines',
        sans: ['B.contract.example', 'b.contract.example', '*.contract.example'],
      })
      const { keyType, backend, id, label } = creation.key
      const { uri, publicKey, attestation } = finished.key
      const key = { id, backend, uri, state: 'assigned', attestation }
      const expected = { ...finished.csr, keyType, key }
      assert.deepEqual(await store.completeCreation(finished), expected)
      assert.deepEqual(await store.getCsr(scope, finished.csr.id), expected)
      assert.deepEqual(await store.getKey(id), {
        ...{ id, label, backend, uri, keyType, publicKey, attestation, state: 'assigned' },
        ...{ destroyedAt: undefined, scope, lease: undefined, createdAt: creation.now },
      })
    }
  },

  'completeCreation: what is absent stays absent': async ({ store, scope }) => {
    const { id } = await create(store, scope)
    const row = await store.getCsr(scope, id)
    assert.ok(row)
    assert.deepEqual([row.accountTag, row.name, row.description], [undefined, undefined, undefined])
    assert.equal(row.subject.organizationalUnit, undefined)
  },

  'completeCreation: only under the lease, only once': async ({ store, scope }) => {
    const creation = await begin(store, scope)
    const foreign = { ...finish(creation), owner: 'somebody else' }
    assert.equal(await store.completeCreation(foreign), undefined, 'another’s lease was enough')
    assert.equal(await store.getCsr(scope, foreign.csr.id), undefined, 'the CSR was written')
    assert.equal(await countOf(store, scope), 0, 'the CSR was counted')
    assert.deepEqual(await store.listEvents(scope, { limit: 10 }), [], 'the event was written')
    assert.equal((await store.getKey(creation.key.id))?.state, 'creating')

    assert.ok(await store.completeCreation(finish(creation)))
    assert.equal(await store.completeCreation(finish(creation)), undefined, 'completed twice')
    assert.equal(await countOf(store, scope), 1)
  },

  'completeCreation: 30 at once are 30': async (bench) => {
    const { store, scope } = bench
    const rows = await atOnce(30, await twoStores(bench), (each) => create(each, scope))
    assert.equal(new Set(rows.map(({ id }) => id)).size, 30)
    assert.equal(await countOf(store, scope), 30, 'the total is wrong')
  },

  'quota: counts what exists and what is being created': async ({ store, scope }) => {
    const quota = 2
    const { id } = await create(store, scope, {}, { quota })
    const creation = await begin(store, scope, { quota })
    const refused = newKey(scope, { quota })
    const answer = await store.beginCreation(refused)
    assert.deepEqual(answer, { state: 'quota_exceeded', count: 2 })
    assert.equal(await store.getKey(refused.key.id), undefined, 'the key was written all the same')

    await begin(store, newScope(), { quota })
    await begin(store, { ...scope, kind: 'account' }, { quota })
    assert.equal(await store.abandonCreation(creation.key.id, creation.lease), true)
    await create(store, scope, {}, { quota })
    isState(await store.beginCreation(newKey(scope, { quota })), 'quota_exceeded')
    assert.equal((await remove(store, scope, id)).state, 'deleted')
    await begin(store, scope, { quota })
  },

  'quota: what is refused leaves its idempotency key free': async ({ store, scope }) => {
    const idempotency = {
      key: 'key',
      fingerprint: 'a',
      expiresAt: new Date(Date.now() + 60_000),
    }
    const refused = newKey(scope, { quota: 0, idempotency })
    isState(await store.beginCreation(refused), 'quota_exceeded')
    await begin(store, scope, { idempotency: { ...idempotency, fingerprint: 'b' } })
  },

  'quota: holds under 30 creations at once': async (bench) => {
    const { store, scope } = bench
    const quota = 7
    await create(store, scope)
    const starts = await atOnce(30, await twoStores(bench), async (each) => {
      const creation = newKey(scope, { quota, lease: newLease() })
      const { state } = await each.beginCreation(creation)
      if (state === 'begun') await each.completeCreation(finish(creation))
      return state
    })
    const begun = starts.filter((state) => state === 'begun').length
    assert.equal(begun, quota - 1, `${begun} creations began where ${quota - 1} had room`)
    assert.ok(starts.every((state) => state === 'begun' || state === 'quota_exceeded'))
    assert.equal(await countOf(store, scope), quota)
  },
}
