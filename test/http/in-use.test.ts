import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, inject, test } from 'vitest'
import { openBackend } from '../../backends/index.ts'
import { createHandler, grantAccess } from '../../src/http/index.ts'
import { CustomCsrService, type Scope } from '../../src/lifecycle/index.ts'
import { openStore } from '../../src/store/index.ts'
import type { Store } from '../../src/store/store.ts'
import type { BindHostnames } from '../../src/testing/store-contract/index.ts'
import { bindInPostgres, bindInSqlite } from '../support/bind-hostnames.ts'
import { INPUT } from '../support/custom-csr.ts'
import { createDatabase } from '../support/postgres.ts'
import { checkAnswer } from './check-answer.ts'
import { DOCUMENT } from './support.ts'

/** A store, and how another process binds hostnames in it. */
interface Ground extends AsyncDisposable {
  readonly store: Store
  readonly bind: BindHostnames
}

const GROUNDS: Readonly<Record<string, () => Promise<Ground>>> = {
  SQLite: async () => {
    const directory = await mkdtemp(join(tmpdir(), 'keystay-in-use-'))
    const file = join(directory, 'keystay.db')
    const store = await openStore(`sqlite:${file}`)
    const end = async (): Promise<void> => {
      await store.close()
      await rm(directory, { recursive: true })
    }
    return { store, bind: bindInSqlite(file), [Symbol.asyncDispose]: end }
  },
  PostgreSQL: async () => {
    const uri = await createDatabase(inject('postgres'))
    const store = await openStore(uri)
    return { store, bind: bindInPostgres(uri), [Symbol.asyncDispose]: () => store.close() }
  },
}

describe.each(Object.keys(GROUNDS))('a CSR whose certificate is in use, in %s', (engine) => {
  test('is not deleted, nor its key; the answer names the first 20 hostnames and the count', async () => {
    await using ground = (await GROUNDS[engine]?.()) as Ground
    await using memory = await openBackend('webcrypto:')
    const backend: typeof memory = Object.create(memory, {
      capabilities: { value: async () => ({ ...(await memory.capabilities()), durable: true }) },
      generateKey: { value: memory.generateKey.bind(memory) },
      destroyKey: { value: memory.destroyKey.bind(memory) },
    }) as typeof memory
    await using service = new CustomCsrService({ backend, store: ground.store })
    const handler = createHandler(service, {
      authorize: () => grantAccess({ actor: 'me', role: 'edit', zones: ['demo'] }),
    })
    const zone: Scope = { kind: 'zone', id: 'demo' }
    const { customCsr } = await service.create(zone, INPUT)
    const row = await ground.store.getCsr(zone, customCsr.id)
    if (row === undefined) throw new Error('the CSR is gone')
    const hostnames = Array.from({ length: 25 }, (_, index) => `h${index + 10}.example.com`)
    await ground.bind(row, hostnames)

    const path = `/client/v4/zones/demo/custom_csrs/${customCsr.id}`
    const answer = await handler(new Request(`http://localhost${path}`, { method: 'DELETE' }))
    const inDocument = path.replace('/client/v4', '')
    await checkAnswer(DOCUMENT, 'DELETE', inDocument, answer.clone())
    expect(answer.status).toBe(409)
    expect(answer.headers.get('x-should-retry')).toBe('false')
    const { errors } = (await answer.json()) as { errors: { code: number; message: string }[] }
    expect(errors).toMatchObject([{ code: 1420 }])
    expect(errors[0]?.message).toContain('h10.example.com, h11.example.com')
    expect(errors[0]?.message).toContain('h29.example.com and 5 more')
    expect(errors[0]?.message).not.toContain('h30.example.com')
    expect(await service.get(zone, customCsr.id)).toEqual(customCsr)
    expect((await memory.getKey(customCsr.key.uri)).keyType).toBe('p256v1')
  })
})
