import assert from 'node:assert/strict'
import { notSupported } from '../contract/workbench.ts'
import {
  atOnce,
  countOf,
  create,
  newLease,
  remove,
  twoStores,
  type BindHostnames,
  type StoreBench,
  type StoreCases,
} from './workbench.ts'

function binder({ bind }: StoreBench): BindHostnames {
  return bind ?? notSupported('certificates can only be bound by a test that knows the database')
}

/** Cases about deleting CSRs, and about those that must not be deleted. */
export const deletionCases: StoreCases = {
  'deleteCsr: the row is gone, its key is to be destroyed': async ({ store, scope }) => {
    const row = await create(store, scope)
    const beside = await create(store, scope)
    const lease = newLease()
    const deletion = await remove(store, scope, row.id, lease)
    const key = await store.getKey(row.key.id)
    assert.deepEqual([key?.state, key?.lease], ['destroying', lease])
    assert.deepEqual(deletion, { state: 'deleted', key })
    assert.equal(await store.getCsr(scope, row.id), undefined)
    assert.deepEqual(await store.getCsr(scope, beside.id), beside)
    assert.deepEqual(await remove(store, scope, row.id), { state: 'not_found' })
    assert.equal(await countOf(store, scope), 1)
    const events = await store.listEvents(scope, { csrId: row.id, limit: 10 })
    assert.deepEqual(
      events.map(({ type }) => type),
      ['custom_csr.created', 'custom_csr.deleted'],
    )
  },

  'deleteCsr: of 20 at once, one': async (bench) => {
    const { store, scope } = bench
    const { id } = await create(store, scope)
    const deletions = await atOnce(20, await twoStores(bench), (each) => remove(each, scope, id))
    const states = deletions.map(({ state }) => state).toSorted()
    assert.deepEqual(states, ['deleted', ...Array.from({ length: 19 }, () => 'not_found')])
    assert.equal(await countOf(store, scope), 0)
    assert.equal((await store.listEvents(scope, { csrId: id, limit: 10 })).length, 2)
  },

  'deleteCsr: refused while certificates use the key': async (bench) => {
    const { store, scope } = bench
    const row = await create(store, scope)
    const hostnames = Array.from({ length: 25 }, (_, index) => `h${99 - index}.contract.example`)
    await binder(bench)(row, hostnames)
    assert.deepEqual(await remove(store, scope, row.id), {
      state: 'in_use',
      hostnames: hostnames.toSorted().slice(0, 20),
      count: 25,
    })
    assert.deepEqual(await store.getCsr(scope, row.id), row, 'the CSR was changed')
    assert.equal(await countOf(store, scope), 1)
    assert.equal((await store.listEvents(scope, { limit: 10 })).length, 1, 'an event was written')
    assert.equal((await remove(store, { ...scope, kind: 'account' }, row.id)).state, 'not_found')
  },

  'deleteCsr: refused where a certificate is not in use yet': async (bench) => {
    const { store, scope } = bench
    const row = await create(store, scope)
    await binder(bench)(row, [])
    const deletion = await remove(store, scope, row.id)
    assert.deepEqual(deletion, { state: 'in_use', hostnames: [], count: 0 })
  },

  'deleteCsr: a certificate bound meanwhile keeps its key': async (bench) => {
    const { store, scope } = bench
    const bind = binder(bench)
    for (let race = 0; race < 20; race++) {
      const row = await create(store, scope)
      const binding = bind(row, [`race-${race}.contract.example`]).then(
        () => 'bound',
        () => 'refused',
      )
      const [bound, { state }] = await Promise.all([binding, remove(store, scope, row.id)])
      const key = await store.getKey(row.key.id)
      const outcome = `${bound}, ${state}, ${key?.state ?? 'no key'}`
      assert.ok(
        ['bound, in_use, assigned', 'refused, deleted, destroying'].includes(outcome),
        `a certificate and a deletion at once ended as: ${outcome}`,
      )
    }
  },
}
