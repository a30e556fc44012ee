import assert from 'node:assert/strict'
import type { KeyRow, Scope, Store } from '../../store/store.ts'
import {
  atOnce,
  begin,
  countOf,
  create,
  finish,
  newKey,
  newLease,
  ownPast,
  remove,
  twoStores,
  type StoreCases,
} from './workbench.ts'

async function destroying(store: Store, scope: Scope): Promise<KeyRow> {
  const { key, lease } = await begin(store, scope)
  assert.equal(await store.abandonCreation(key.id, lease), true)
  const row = await store.getKey(key.id)
  assert.ok(row)
  return row
}

/** Cases about leases, destruction and what is left over. */
export const keyCases: StoreCases = {
  'renewLease: for the owner, while there is work': async ({ store, scope }) => {
    const creation = await begin(store, scope)
    const { id } = creation.key
    const longer = newLease(creation.lease.owner, 120_000)
    assert.equal(await store.renewLease(id, newLease('somebody else')), false)
    assert.equal(await store.renewLease(id, longer), true)
    assert.deepEqual((await store.getKey(id))?.lease, longer)
    assert.ok(await store.completeCreation(finish(creation)))
    assert.equal(await store.renewLease(id, longer), false, 'an assigned key has no lease')
    assert.equal(await store.renewLease(crypto.randomUUID(), longer), false)
  },

  'takeOver: only once the lease has ended, and only unfinished keys': async ({ store, scope }) => {
    const past = ownPast()
    const lease = { owner: 'the first', until: past.at(1000) }
    const { key } = await begin(store, scope, { lease })
    const mine = newLease('the second')
    assert.equal(await store.takeOver(key.id, mine, past.at(999)), undefined, 'taken too early')
    assert.deepEqual((await store.getKey(key.id))?.lease, lease)
    const taken = await store.takeOver(key.id, mine, past.at(1001))
    assert.deepEqual(taken, await store.getKey(key.id))
    assert.deepEqual(taken?.lease, mine)
    assert.equal(taken.state, 'creating')

    const assigned = await create(store, scope)
    assert.equal(await store.takeOver(assigned.key.id, mine, new Date(8e15)), undefined)
    assert.equal(await store.takeOver(crypto.randomUUID(), mine, new Date()), undefined)
  },

  'takeOver: of 20 at once, one': async (bench) => {
    const { key } = await begin(bench.store, bench.scope, { lease: newLease('gone', -1000) })
    const taken = await atOnce(20, await twoStores(bench), (store) =>
      store.takeOver(key.id, newLease(), new Date()),
    )
    assert.equal(taken.filter((row) => row !== undefined).length, 1)
  },

  'fencing: who lost the lease changes nothing any more': async ({ store, scope }) => {
    const creation = await begin(store, scope, { lease: newLease('the first', -1000) })
    const { id } = creation.key
    const second = newLease('the second')
    assert.ok(await store.takeOver(id, second, new Date()))
    assert.equal(await store.renewLease(id, newLease('the first')), false)
    assert.equal(await store.abandonCreation(id, newLease('the first')), false)
    assert.equal(await store.completeCreation(finish(creation)), undefined)
    const row = await store.getKey(id)
    assert.deepEqual([row?.state, row?.lease], ['creating', second])
    assert.equal(await countOf(store, scope), 0)
    assert.ok(await store.completeCreation(finish({ ...creation, lease: second })))
  },

  'abandonCreation: the key is to be destroyed, under the lease': async ({ store, scope }) => {
    const creation = await begin(store, scope)
    const { id } = creation.key
    const lease = newLease(creation.lease.owner, 90_000)
    assert.equal(await store.abandonCreation(id, lease), true)
    const row = await store.getKey(id)
    assert.deepEqual([row?.state, row?.lease, row?.uri], ['destroying', lease, undefined])
    assert.equal(await store.abandonCreation(id, lease), false, 'abandoned twice')
    assert.equal(await store.completeCreation(finish(creation)), undefined)
    const { key } = await create(store, scope)
    assert.equal(await store.abandonCreation(key.id, lease), false, 'an assigned key is in use')
  },

  'endDestruction: the row goes, or waits for the device': async ({ store, scope }) => {
    const gone = await destroying(store, scope)
    await store.endDestruction(gone.id, { state: 'destroyed' })
    assert.equal(await store.getKey(gone.id), undefined)

    const waiting = await destroying(store, scope)
    const at = new Date(Date.now() + 7 * 86_400_000)
    await store.endDestruction(waiting.id, { state: 'scheduled', at })
    assert.deepEqual(await store.getKey(waiting.id), {
      ...waiting,
      state: 'scheduled',
      destroyedAt: at,
      lease: undefined,
    })
  },

  'endDestruction: nothing happens to a key that nobody destroys': async ({ store, scope }) => {
    const { key } = await begin(store, scope)
    const csr = await create(store, scope)
    const before = await store.listEvents(scope, { limit: 10 })
    const event = { type: 'key.destroyed', scope, actor: 'contract', at: new Date() }
    for (const id of [key.id, csr.key.id, crypto.randomUUID()]) {
      await store.endDestruction(id, { state: 'destroyed' }, { ...event, keyId: id })
      await store.endDestruction(id, { state: 'scheduled', at: new Date() }, event)
    }
    assert.equal((await store.getKey(key.id))?.state, 'creating')
    assert.equal((await store.getKey(csr.key.id))?.state, 'assigned', 'a key in use was destroyed')
    assert.deepEqual(await store.listEvents(scope, { limit: 10 }), before)
  },

  'endDestruction: its event is written once': async ({ store, scope }) => {
    const { id } = await destroying(store, scope)
    const event = { type: 'key.destroyed', scope, actor: 'contract', at: new Date(), keyId: id }
    await Promise.all([1, 2, 3].map(() => store.endDestruction(id, { state: 'destroyed' }, event)))
    const events = await store.listEvents(scope, { limit: 10 })
    assert.deepEqual(
      events.map(({ type, keyId }) => [type, keyId]),
      [['key.destroyed', id]],
    )
  },

  'unfinishedKeys: those whose lease has ended, the oldest first': async ({ store, scope }) => {
    const past = ownPast()
    const ids: string[] = []
    for (const [created, until] of [
      [40, 500],
      [10, 600],
      [30, 900],
      [20, 100],
    ] as const) {
      const lease = { owner: 'gone', until: past.at(until) }
      const { key } = await begin(store, scope, { now: past.at(created), lease })
      ids.push(key.id)
    }
    await store.abandonCreation(ids[0] ?? '', { owner: 'gone', until: past.at(500) })
    await create(store, scope, {}, { now: past.at(5) })
    const found = async (now: Date, limit = 100): Promise<readonly number[]> => {
      const rows = await store.unfinishedKeys({ now, limit })
      return rows.map(({ id }) => ids.indexOf(id)).filter((index) => index >= 0)
    }
    assert.deepEqual(await found(past.at(700)), [1, 3, 0])
    assert.deepEqual(await found(past.at(1000)), [1, 3, 2, 0])
    assert.ok((await store.unfinishedKeys({ now: past.at(1000), limit: 2 })).length <= 2)
    const first = (await store.unfinishedKeys({ now: past.at(700), limit: 100 })).find(
      ({ id }) => id === ids[3],
    )
    assert.deepEqual(first, await store.getKey(ids[3] ?? ''))
    for (const id of ids) await end(store, id)
  },

  'newestKey: the youngest that is assigned in the backend': async ({ store, scope }) => {
    const backend = `contract:${crypto.randomUUID()}`
    const inBackend = (ageMs: number): ReturnType<typeof newKey> => {
      const creation = newKey(scope, { now: new Date(Date.now() - ageMs) })
      return { ...creation, key: { ...creation.key, backend } }
    }
    assert.equal(await store.newestKey(backend), undefined)
    const [old, young, youngest] = [inBackend(3000), inBackend(2000), inBackend(1000)]
    for (const creation of [young, old, youngest]) {
      await store.beginCreation(creation)
      if (creation !== youngest) await store.completeCreation(finish(creation))
    }
    assert.deepEqual(await store.newestKey(backend), await store.getKey(young.key.id))
  },

  'purge: what is over goes, what is not stays': async ({ store, scope }) => {
    const past = ownPast()
    const scheduled = async (at: Date): Promise<string> => {
      const { id } = await destroying(store, scope)
      await store.endDestruction(id, { state: 'scheduled', at })
      return id
    }
    const keys = [await scheduled(past.at(100)), await scheduled(past.at(300))]
    const claimUntil = (key: string, expiresAt: Date): Partial<Parameters<typeof newKey>[1]> => ({
      now: past.at(0),
      idempotency: { key, fingerprint: 'a', expiresAt },
    })
    await create(store, scope, {}, claimUntil('over', past.at(100)))
    await create(store, scope, {}, claimUntil('not over', past.at(300)))
    const { id } = await create(store, scope)
    await store.purge(past.at(200))
    assert.equal(await store.getKey(keys[0] ?? ''), undefined)
    assert.equal((await store.getKey(keys[1] ?? ''))?.state, 'scheduled')
    assert.ok(await store.getCsr(scope, id))
    const state = async (key: string): Promise<string> =>
      (await store.beginCreation(newKey(scope, claimUntil(key, past.at(300))))).state
    assert.equal(await state('over'), 'begun')
    assert.equal(await state('not over'), 'completed')
  },

  'backends: how they are opened is remembered': async ({ store }) => {
    const uri = `contract:${crypto.randomUUID()}`
    assert.equal(await store.backendAddress(uri), undefined)
    await Promise.all([1, 2, 3].map(() => store.rememberBackend({ uri, address: 'first' })))
    assert.equal(await store.backendAddress(uri), 'first')
    await store.rememberBackend({ uri, address: 'second' })
    assert.equal(await store.backendAddress(uri), 'second')
  },

  'deleteCsr: its key is handed over, and can be taken over': async ({ store, scope }) => {
    const { id, key } = await create(store, scope)
    const lease = newLease('gone', -1000)
    await remove(store, scope, id, lease)
    const row = await store.getKey(key.id)
    assert.deepEqual([row?.state, row?.lease], ['destroying', lease])
    const mine = newLease('the sweeper')
    assert.deepEqual((await store.takeOver(key.id, mine, new Date()))?.lease, mine)
    await store.endDestruction(key.id, { state: 'destroyed' })
    assert.equal(await store.getKey(key.id), undefined)
  },
}

/** Leaves nothing that another case could find. */
async function end(store: Store, id: string): Promise<void> {
  const lease = newLease()
  await store.takeOver(id, lease, new Date())
  await store.abandonCreation(id, lease)
  await store.endDestruction(id, { state: 'destroyed' })
}
