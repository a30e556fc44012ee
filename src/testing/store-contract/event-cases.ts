import assert from 'node:assert/strict'
import type { EventRow } from '../../store/store.ts'
import { atOnce, begin, create, finish, remove, twoStores, type StoreCases } from './workbench.ts'

/** Cases about remembering who did what. */
export const eventCases: StoreCases = {
  'listEvents: as they were written, also of what is gone': async ({ store, scope }) => {
    const creation = await begin(store, scope)
    const finished = finish(creation)
    const details = { text: 'ä', number: 1.5, yes: false }
    const event = { ...finished.event, actor: 'somebody@contract.example', details }
    await store.completeCreation({ ...finished, event })
    const { id } = finished.csr
    await remove(store, scope, id)
    const last = { type: 'key.destroyed', scope, actor: 'keystay', at: new Date() }
    await store.endDestruction(creation.key.id, { state: 'destroyed' }, last)

    const [first, second, third] = await store.listEvents(scope, { limit: 10 })
    assert.ok(first && second && third, 'events are missing')
    assert.deepEqual(first, { sequence: first.sequence, ...event })
    assert.equal(second.type, 'custom_csr.deleted')
    const absent = { csrId: undefined, keyId: undefined, details: undefined }
    assert.deepEqual(third, { sequence: third.sequence, ...last, ...absent })
    assert.ok(first.sequence < second.sequence && second.sequence < third.sequence)
    assert.deepEqual(await store.listEvents(scope, { csrId: id, limit: 10 }), [first, second])
  },

  'listEvents: page by page': async ({ store, scope }) => {
    for (let index = 0; index < 5; index++) await create(store, scope)
    const all = await store.listEvents(scope, { limit: 10 })
    assert.equal(all.length, 5)
    const first = await store.listEvents(scope, { limit: 2 })
    assert.deepEqual(first, all.slice(0, 2))
    const after = first.at(-1)?.sequence ?? 0
    assert.deepEqual(await store.listEvents(scope, { after, limit: 2 }), all.slice(2, 4))
    const csrId = all[3]?.csrId ?? ''
    assert.deepEqual(await store.listEvents(scope, { csrId, after, limit: 9 }), all.slice(3, 4))
    assert.deepEqual(await store.listEvents(scope, { csrId, limit: 9 }), all.slice(3, 4))
  },

  'listEvents: who reads on while others write misses none': async (bench) => {
    const { store, scope } = bench
    const seen: EventRow[] = []
    const readOn = async (): Promise<void> => {
      const after = seen.at(-1)?.sequence ?? 0
      seen.push(...(await store.listEvents(scope, { after, limit: 7 })))
    }
    const written = new AbortController()
    const reading = (async () => {
      while (!written.signal.aborted) await readOn()
    })()
    const rows = await atOnce(40, await twoStores(bench), async (each) => {
      const { id } = await create(each, scope)
      await remove(each, scope, id)
      return id
    })
    written.abort()
    await reading
    for (let before = -1; before < seen.length;) {
      before = seen.length
      await readOn()
      if (before === seen.length) break
    }
    const expected = rows.flatMap((id) => [`${id} created`, `${id} deleted`]).toSorted()
    const found = seen.map(({ csrId, type }) => `${String(csrId)} ${type.replace(/^.*\./, '')}`)
    assert.deepEqual(found.toSorted(), expected)
  },
}
