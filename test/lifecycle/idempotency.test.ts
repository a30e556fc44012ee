import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { openBackend } from '../../backends/index.ts'
import { KeystayError } from '../../src/errors.ts'
import { openStore } from '../../src/store/index.ts'
import type { NewKey, Store } from '../../src/store/store.ts'
import { INPUT, newZone } from '../support/custom-csr.ts'
import { labelsIn, openBench, withMethods } from './support.ts'

/** A store that keeps what the last creation began with. */
function watch(store: Store): { readonly store: Store; begun(): NewKey } {
  let begun: NewKey | undefined
  return {
    store: withMethods(store, {
      beginCreation: (creation) => {
        begun = creation
        return store.beginCreation(creation)
      },
    }),
    begun: () => {
      if (begun === undefined) throw new Error('nothing was begun')
      return begun
    },
  }
}

describe('an idempotency key', () => {
  test('sent 50 times at once makes one key and one CSR', async () => {
    await using bench = await openBench()
    const zone = newZone()
    const idempotencyKey = randomUUID()
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => bench.service.create(zone, INPUT, { idempotencyKey })),
    )
    expect(new Set(answers.map(({ customCsr }) => customCsr.id)).size).toBe(1)
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
    expect(await labelsIn(bench.backend)).toHaveLength(1)
    expect((await bench.service.list(zone)).totalCount).toBe(1)
  })

  test('is one scope’s own', async () => {
    await using bench = await openBench()
    const idempotencyKey = randomUUID()
    const first = await bench.service.create(newZone(), INPUT, { idempotencyKey })
    const second = await bench.service.create(newZone(), INPUT, { idempotencyKey })
    expect(second.customCsr.id).not.toBe(first.customCsr.id)
  })

  test.each([
    ['another name', { ...INPUT, commonName: 'www.example.com' }],
    ['another key type', { ...INPUT, keyType: 'p384' as const }],
    ['a description', { ...INPUT, description: 'new' }],
  ])('with %s in the request is refused', async (_, other) => {
    await using bench = await openBench()
    const zone = newZone()
    await bench.service.create(zone, INPUT, { idempotencyKey: 'once' })
    await expect(
      bench.service.create(zone, other, { idempotencyKey: 'once' }),
    ).rejects.toMatchObject({ code: 'idempotency_key_reused' })
  })

  test('is free again after a failure', async () => {
    const memory = await openBackend('webcrypto:')
    let away = true
    const backend = withMethods(memory, {
      generateKey: (keyType, options) =>
        away
          ? Promise.reject(new KeystayError('backend_unavailable', 'away'))
          : memory.generateKey(keyType, options),
    })
    await using bench = await openBench({ backend })
    const zone = newZone()
    await expect(
      bench.service.create(zone, INPUT, { idempotencyKey: 'again' }),
    ).rejects.toMatchObject({ code: 'backend_unavailable' })
    away = false
    const { replayed } = await bench.service.create(zone, INPUT, { idempotencyKey: 'again' })
    expect(replayed).toBe(false)
  })

  test('of a CSR that was deleted since says so', async () => {
    await using bench = await openBench()
    const zone = newZone()
    const { customCsr } = await bench.service.create(zone, INPUT, { idempotencyKey: 'gone' })
    await bench.service.delete(zone, customCsr.id)
    await expect(
      bench.service.create(zone, INPUT, { idempotencyKey: 'gone' }),
    ).rejects.toMatchObject({ code: 'idempotent_csr_deleted' })
  })

  test.each(['', 'with space', 'ümlaut', 'x'.repeat(256)])('%j is refused', async (key) => {
    await using bench = await openBench()
    await expect(
      bench.service.create(newZone(), INPUT, { idempotencyKey: key }),
    ).rejects.toMatchObject({ code: 'idempotency_key_invalid' })
  })

  test.each([true, false])(
    'sent after a crash makes one key and one CSR (key made before it: %s)',
    async (keyMade) => {
      const memory = await openBackend('webcrypto:')
      const sqlite = await openStore('sqlite::memory:')
      const watched = watch(sqlite)
      const zone = newZone()
      const options = { idempotencyKey: 'crash' }
      // The first process: it writes its row, perhaps makes its key, and is never heard of again.
      const dying = withMethods(memory, {
        generateKey: async (keyType, { label }) => {
          if (keyMade) await memory.generateKey(keyType, { label })
          return new Promise<never>(() => undefined)
        },
      })
      const first = await openBench({ backend: dying, store: watched.store })
      void first.service.create(zone, INPUT, options)
      await expect.poll(() => labelsIn(memory)).toHaveLength(keyMade ? 1 : 0)
      await expect.poll(() => watched.begun()).toBeDefined()
      const { key, lease } = watched.begun()
      // Its lease runs out.
      await expect
        .poll(() => sqlite.renewLease(key.id, { owner: lease.owner, until: new Date(0) }))
        .toBe(true)

      await using second = await openBench({ backend: memory, store: sqlite })
      const { customCsr, replayed } = await second.service.create(zone, INPUT, options)
      expect(replayed).toBe(false)
      expect(await labelsIn(memory)).toEqual([key.label])
      expect((await second.service.list(zone)).items).toEqual([customCsr])
      const again = await second.service.create(zone, INPUT, options)
      expect(again).toMatchObject({ replayed: true, customCsr: { id: customCsr.id } })
    },
  )
})
