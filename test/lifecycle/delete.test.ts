import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { openBackend } from '../../backends/index.ts'
import { KeystayError } from '../../src/errors.ts'
import { openStore } from '../../src/store/index.ts'
import { INPUT, newZone } from '../support/custom-csr.ts'
import { labelsIn, openBench, withMethods } from './support.ts'

describe('deleting a custom CSR', () => {
  test('destroys its key; afterwards it is not found, but its events are', async () => {
    await using bench = await openBench()
    const { service, backend } = bench
    const zone = newZone()
    const { customCsr } = await service.create(zone, INPUT)
    expect(await service.delete(zone, customCsr.id, { actor: 'bob' })).toEqual({ warnings: [] })
    expect(await labelsIn(backend)).toEqual([])
    const notFound = { code: 'custom_csr_not_found' }
    await expect(service.get(zone, customCsr.id)).rejects.toMatchObject(notFound)
    await expect(service.delete(zone, customCsr.id)).rejects.toMatchObject(notFound)
    const events = await service.events(zone, customCsr.id)
    expect(events.map(({ type, actor }) => [type, actor])).toEqual([
      ['custom_csr.created', 'library'],
      ['custom_csr.deleted', 'bob'],
    ])
    const all = await service.events(zone)
    expect(all.at(-1)).toMatchObject({
      type: 'key.destroyed',
      details: { key_uri: customCsr.key.uri },
    })
    expect(await service.events(zone, undefined, { after: all[1]?.sequence ?? 0 })).toHaveLength(1)
  })

  test('of another scope is not found, exactly like one that does not exist', async () => {
    await using bench = await openBench()
    const { service } = bench
    const zone = newZone()
    const { customCsr } = await service.create(zone, INPUT)
    const strangers = [newZone(), { kind: 'account', id: zone.id } as const]
    for (const stranger of strangers) {
      for (const call of ['get', 'delete', 'events'] as const) {
        const messages: string[] = []
        for (const id of [customCsr.id, randomUUID()]) {
          await service[call](stranger, id).catch((error: unknown) => {
            expect(error).toMatchObject({ code: 'custom_csr_not_found' })
            messages.push((error as Error).message)
          })
        }
        expect(messages).toHaveLength(2)
        expect(messages[0]).toBe(messages[1])
      }
    }
    expect(await service.get(zone, customCsr.id)).toEqual(customCsr)
  })

  test('is done also when the device does not answer: it is asked again', async () => {
    const memory = await openBackend('webcrypto:')
    const sqlite = await openStore('sqlite::memory:')
    const failure = new KeystayError('backend_unavailable', 'away')
    let away = true
    const backend = withMethods(memory, {
      destroyKey: (uri) => (away ? Promise.reject(failure) : memory.destroyKey(uri)),
    })
    const store = withMethods(sqlite, {
      unfinishedKeys: ({ limit }) => sqlite.unfinishedKeys({ now: new Date(8e15), limit }),
      takeOver: (id, lease) => sqlite.takeOver(id, lease, new Date(8e15)),
    })
    await using bench = await openBench({ backend, store })
    const zone = newZone()
    const { customCsr } = await bench.service.create(zone, INPUT)
    const { warnings } = await bench.service.delete(zone, customCsr.id)
    expect(warnings).toMatchObject([{ code: 'key_destruction_pending' }])
    expect(bench.errors).toEqual([failure])
    expect((await bench.service.list(zone)).items).toEqual([])
    away = false
    expect((await bench.service.reconcile()).finished).toHaveLength(1)
    expect(await labelsIn(memory)).toEqual([])
  })

  test('in a backend that is not known here waits for one that knows it', async () => {
    const sqlite = await openStore('sqlite::memory:')
    const store = withMethods(sqlite, {
      unfinishedKeys: ({ limit }) => sqlite.unfinishedKeys({ now: new Date(8e15), limit }),
      takeOver: (id, lease) => sqlite.takeOver(id, lease, new Date(8e15)),
    })
    const former = withMethods(await openBackend('webcrypto:'), { uri: 'other:former' })
    const zone = newZone()
    await using first = await openBench({ backend: former, store })
    const { customCsr } = await first.service.create(zone, INPUT)
    await using second = await openBench({ store })
    expect(await second.service.get(zone, customCsr.id)).toEqual(customCsr)
    const { warnings } = await second.service.delete(zone, customCsr.id)
    expect(warnings).toMatchObject([{ code: 'key_destruction_pending' }])
    expect(second.errors).toMatchObject([{ code: 'backend_unknown' }])
    expect((await second.service.reconcile()).failed).toHaveLength(1)

    await using third = await openBench({ store, backends: [former] })
    expect((await third.service.reconcile()).finished).toHaveLength(1)
    expect(await labelsIn(former)).toEqual([])
  })

  test('tells the date where the device waits', async () => {
    const memory = await openBackend('webcrypto:')
    const at = new Date('2027-01-01T00:00:00Z')
    const backend = withMethods(memory, {
      destroyKey: () => Promise.resolve({ state: 'scheduled', at }),
    })
    await using bench = await openBench({ backend })
    const zone = newZone()
    const { customCsr } = await bench.service.create(zone, INPUT)
    const { warnings } = await bench.service.delete(zone, customCsr.id)
    expect(warnings).toMatchObject([{ code: 'key_destruction_scheduled' }])
    expect(warnings[0]?.message).toContain('2027-01-01')
    expect((await bench.service.events(zone)).at(-1)?.type).toBe('key.destruction_scheduled')
  })

  test('of what many delete at once succeeds for one', async () => {
    await using bench = await openBench()
    const zone = newZone()
    const { customCsr } = await bench.service.create(zone, INPUT)
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => bench.service.delete(zone, customCsr.id)),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect((await bench.service.list(zone)).totalCount).toBe(0)
  })

  test.each(['', 'x', '1', '../..', `${randomUUID()}x`, '{}'])('%j is no id', async (id) => {
    await using bench = await openBench()
    for (const call of ['get', 'delete'] as const) {
      await expect(bench.service[call](newZone(), id)).rejects.toMatchObject({
        code: 'custom_csr_id_invalid',
      })
    }
  })
})
