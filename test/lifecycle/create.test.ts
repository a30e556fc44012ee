import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { openBackend } from '../../backends/index.ts'
import { parseCsr } from '../../src/csr/parse-csr.ts'
import { KeystayError } from '../../src/errors.ts'
import type { BackendKey } from '../../src/key/backend.ts'
import { openStore } from '../../src/store/index.ts'
import { INPUT, newZone } from '../support/custom-csr.ts'
import { labelsIn, openBench, withMethods } from './support.ts'

const FAILURE = new KeystayError('backend_unavailable', 'the device is away')

function fail(): Promise<never> {
  return Promise.reject(FAILURE)
}

describe('creating a custom CSR', () => {
  test('gives a verified request, a key that signs, and remembers both', async () => {
    await using bench = await openBench()
    const { service, backend } = bench
    const zone = newZone()
    const { customCsr, warnings, replayed } = await service.create(zone, INPUT, {
      actor: 'alice',
      accountTag: 'acme',
    })
    expect(warnings).toEqual([])
    expect(replayed).toBe(false)
    expect(customCsr).toMatchObject({ ...INPUT, scope: zone, accountTag: 'acme' })
    const parsed = await parseCsr(customCsr.csr)
    expect(parsed.signature.status).toBe('valid')
    expect(parsed.sans).toEqual(INPUT.sans.map((dns) => ({ dns })))
    expect(customCsr.key).toMatchObject({ state: 'assigned', attestation: { level: 'software' } })
    const key = await backend.getKey(customCsr.key.uri)
    expect(key.label).toMatch(/^keystay:[0-9a-f-]{36}$/)
    expect(key.publicKey).toEqual(parsed.publicKey.spki)
    expect(await service.get(zone, customCsr.id)).toEqual(customCsr)
    const [event] = await service.events(zone, customCsr.id)
    expect(event).toMatchObject({ type: 'custom_csr.created', actor: 'alice', csrId: customCsr.id })
  })

  test('takes rsa2048 where no key type is asked for, and empty texts for what is left out', async () => {
    await using bench = await openBench()
    const { keyType, ...rest } = INPUT
    expect(keyType).toBe('p256v1')
    const { customCsr } = await bench.service.create(newZone(), {
      ...rest,
      organizationalUnit: '',
      name: '',
      description: 'for the parade',
    })
    expect(customCsr.keyType).toBe('rsa2048')
    expect(customCsr.organizationalUnit).toBeUndefined()
    expect(customCsr.name).toBeUndefined()
    expect(customCsr.description).toBe('for the parade')
  })

  test('a common name beside the SANs is warned about, or added', async () => {
    const input = { ...INPUT, commonName: 'other.example.com' }
    await using warning = await openBench()
    const warned = await warning.service.create(newZone(), input)
    expect(warned.warnings).toMatchObject([
      { code: 'common_name_not_in_sans', pointer: '/commonName' },
    ])
    expect(warned.customCsr.sans).toEqual(INPUT.sans)
    await using adding = await openBench({ commonName: 'add' })
    const added = await adding.service.create(newZone(), input)
    expect(added.warnings).toMatchObject([{ code: 'common_name_added' }])
    expect((await parseCsr(added.customCsr.csr)).sans).toContainEqual({ dns: 'other.example.com' })
    await expect(
      adding.service.create(newZone(), { ...INPUT, commonName: 'City of Boston' }),
    ).rejects.toMatchObject({ pointer: '/commonName' })
  })

  const failing: Readonly<Record<string, (key: BackendKey) => Partial<BackendKey>>> = {
    'its attestation': () => ({ attest: fail }),
    'its signature': () => ({ sign: fail }),
    'its verification': (key) => ({ sign: () => key.sign(new Uint8Array(1)) }),
  }
  test.each(Object.keys(failing))('what fails at %s leaves neither key nor row', async (name) => {
    const memory = await openBackend('webcrypto:')
    const backend = withMethods(memory, {
      generateKey: async (keyType, options) => {
        const key = await memory.generateKey(keyType, options)
        return withMethods(key, failing[name]?.(key) ?? {})
      },
    })
    await using bench = await openBench({ backend })
    await expect(bench.service.create(newZone(), INPUT)).rejects.toThrow(KeystayError)
    expect(await labelsIn(memory)).toEqual([])
    expect(await bench.store.unfinishedKeys({ now: new Date(8e15), limit: 10 })).toEqual([])
  })

  test('a key that the device made before its answer was lost is destroyed', async () => {
    const memory = await openBackend('webcrypto:')
    const backend = withMethods(memory, {
      generateKey: async (keyType, options) => {
        await memory.generateKey(keyType, options)
        throw FAILURE
      },
    })
    await using bench = await openBench({ backend })
    await expect(bench.service.create(newZone(), INPUT)).rejects.toBe(FAILURE)
    expect(await labelsIn(memory)).toEqual([])
  })

  test('a store that fails after its commit has not failed', async () => {
    const sqlite = await openStore('sqlite::memory:')
    const store = withMethods(sqlite, {
      completeCreation: async (creation) => {
        await sqlite.completeCreation(creation)
        throw new KeystayError('store_unavailable', 'the answer was lost')
      },
    })
    await using bench = await openBench({ store })
    const zone = newZone()
    const { customCsr } = await bench.service.create(zone, INPUT)
    expect(await bench.service.get(zone, customCsr.id)).toEqual(customCsr)
    expect(await labelsIn(bench.backend)).toHaveLength(1)
  })

  test('while the device cannot undo, the row stays, and reconcile ends it', async () => {
    const memory = await openBackend('webcrypto:')
    let away = true
    const backend = withMethods(memory, {
      generateKey: async (keyType, options) => {
        await memory.generateKey(keyType, options)
        throw FAILURE
      },
      findKey: (label) => (away ? fail() : memory.findKey(label)),
    })
    const sqlite = await openStore('sqlite::memory:')
    // As if the lease had ended at once.
    const store = withMethods(sqlite, {
      unfinishedKeys: ({ limit }) => sqlite.unfinishedKeys({ now: new Date(8e15), limit }),
      takeOver: (id, lease) => sqlite.takeOver(id, lease, new Date(8e15)),
    })
    await using bench = await openBench({ backend, store })
    await expect(bench.service.create(newZone(), INPUT)).rejects.toBe(FAILURE)
    expect(bench.errors).toEqual([FAILURE])
    expect((await bench.service.reconcile()).failed).toHaveLength(1)
    expect(await labelsIn(memory)).toHaveLength(1)
    away = false
    expect((await bench.service.reconcile()).finished).toHaveLength(1)
    expect(await labelsIn(memory)).toEqual([])
    expect(await bench.service.reconcile()).toEqual({ finished: [], failed: [] })
  })

  test('whoever was given up for dead leaves no key behind when it wakes', async () => {
    const memory = await openBackend('webcrypto:')
    const sqlite = await openStore('sqlite::memory:')
    const store = withMethods(sqlite, {
      unfinishedKeys: ({ limit }) => sqlite.unfinishedKeys({ now: new Date(8e15), limit }),
      takeOver: (id, lease) => sqlite.takeOver(id, lease, new Date(8e15)),
    })
    await using other = await openBench({ backend: memory, store })
    const backend = withMethods(memory, {
      generateKey: async (keyType, options) => {
        expect((await other.service.reconcile()).finished).toHaveLength(1)
        return memory.generateKey(keyType, options)
      },
    })
    await using bench = await openBench({ backend, store })
    await expect(bench.service.create(newZone(), INPUT)).rejects.toMatchObject({
      code: 'creation_lost',
    })
    expect(await labelsIn(memory)).toEqual([])
  })

  test('listeners hear of it, and what they throw harms nobody', async () => {
    await using bench = await openBench()
    const { service } = bench
    const heard: string[] = []
    service.on('custom_csr.created', ({ customCsr }) => heard.push(customCsr.id))
    service.on('custom_csr.created', () => {
      throw FAILURE
    })
    // JavaScript lets an async function stand where none is asked for.
    const later: unknown = fail
    service.on('custom_csr.created', later as () => void)
    const end = service.on('custom_csr.created', () => heard.push('too many'))
    end()
    const { customCsr } = await service.create(newZone(), INPUT)
    await delay(0)
    expect(heard).toEqual([customCsr.id])
    expect(bench.errors).toEqual([FAILURE, FAILURE])
  })

  test('an abort before anything is written writes nothing', async () => {
    await using bench = await openBench()
    const zone = newZone()
    await expect(
      bench.service.create(zone, INPUT, { signal: AbortSignal.abort(FAILURE) }),
    ).rejects.toBe(FAILURE)
    expect(await labelsIn(bench.backend)).toEqual([])
    expect((await bench.service.list(zone)).totalCount).toBe(0)
  })

  test('after close, calls are refused; calls under way are waited for', async () => {
    await using bench = await openBench()
    const { service } = bench
    const zone = newZone()
    const creating = service.create(zone, INPUT)
    await service.close()
    await expect(service.get(zone, (await creating).customCsr.id)).rejects.toMatchObject({
      code: 'service_closed',
    })
  })
})

describe('a quota', () => {
  test('is never exceeded, also by many at once', async () => {
    await using bench = await openBench({ quota: ({ kind }) => (kind === 'zone' ? 3 : undefined) })
    const zone = newZone()
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => bench.service.create(zone, INPUT)),
    )
    const refused = results.filter(({ status }) => status === 'rejected')
    expect(refused).toHaveLength(17)
    expect(
      refused.every(
        (result) => 'reason' in result && (result.reason as KeystayError).code === 'quota_exceeded',
      ),
    ).toBe(true)
    expect(await labelsIn(bench.backend)).toHaveLength(3)
    const { items } = await bench.service.list(zone)
    await bench.service.delete(zone, items[0]?.id ?? '')
    await bench.service.create(zone, INPUT)
    const account = { kind: 'account', id: zone.id } as const
    await Promise.all(Array.from({ length: 4 }, () => bench.service.create(account, INPUT)))
  })
})

describe('a backend that a restart would empty', () => {
  test('is refused for a store that lasts', async () => {
    const memory = await openStore('sqlite::memory:')
    await using bench = await openBench({
      store: withMethods(memory, { durable: true }),
    })
    await expect(bench.service.create(newZone(), INPUT)).rejects.toMatchObject({
      code: 'backend_not_durable',
    })
  })
})
