import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, inject, test } from 'vitest'
import { openBackend } from '../../backends/index.ts'
import { parseCsr } from '../../src/csr/parse-csr.ts'
import { openStore } from '../../src/store/index.ts'
import type { Scope } from '../../src/store/store.ts'
import { createDatabase } from '../support/postgres.ts'
import { createCredential, startServe, type ServeProcess } from '../support/serve-process.ts'

const INSTANCES = 4
const ZONES = Array.from({ length: 20 }, (_, index) => `zone-${index}`)
const OPERATIONS = 2000
const IN_FLIGHT = 64

/** What an answer may be, besides a success: another client may have deleted first. */
const EXPECTED = new Set([201, 200, 404])

test('four instances on one PostgreSQL lose and leave nothing', async () => {
  const storeUri = await createDatabase(inject('postgres'))
  const directory = await mkdtemp(join(tmpdir(), 'keystay-instances-'))
  const secretFile = join(directory, 'secret')
  await writeFile(secretFile, randomBytes(32).toString('base64'), { mode: 0o600 })
  const backendUri = `webcrypto:${directory}/keyring?secret-source=file:${secretFile}`
  const credentials = join(directory, 'credentials.json')
  const { secret } = await createCredential(credentials, { zones: ZONES })
  const env = {
    KEYSTAY_BACKEND: backendUri,
    KEYSTAY_STORE: storeUri,
    KEYSTAY_CREDENTIALS: credentials,
    KEYSTAY_LOG_LEVEL: 'error',
  }
  // All at once: they also race for the migrations.
  const servers = await Promise.all(Array.from({ length: INSTANCES }, () => startServe(env)))
  const body = await readFile(join(import.meta.dirname, '../../examples/request.json'))
  const headers = { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' }
  const alive = new Map(ZONES.map((zone) => [zone, new Set<string>()]))
  const problems: string[] = []

  const ask = async (method: string, zone: string, path = ''): Promise<unknown> => {
    const server = servers[Math.floor(Math.random() * INSTANCES)] as ServeProcess
    const answer = await fetch(`${server.url}/zones/${zone}/custom_csrs${path}`, {
      method,
      headers,
      ...(method === 'POST' && { body }),
    })
    const text = await answer.text()
    if (!EXPECTED.has(answer.status)) problems.push(`${method} ${answer.status} ${text}`)
    return (JSON.parse(text) as { result: unknown }).result
  }
  const operate = async (): Promise<void> => {
    const zone = ZONES[Math.floor(Math.random() * ZONES.length)] ?? ''
    const ids = alive.get(zone) ?? new Set()
    const [oldest] = ids
    const choice = Math.random()
    if (choice < 0.5 || oldest === undefined) {
      const { id } = (await ask('POST', zone)) as { id: string }
      ids.add(id)
    } else if (choice < 0.75) {
      await ask('GET', zone, '?per_page=50&order=name&direction=desc')
    } else {
      ids.delete(oldest)
      // Twice, on instances of their own: one succeeds, or both were late.
      await Promise.all([ask('DELETE', zone, `/${oldest}`), ask('DELETE', zone, `/${oldest}`)])
    }
  }
  let left = OPERATIONS
  const client = async (): Promise<void> => {
    while (left-- > 0) await operate()
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, client))
  expect(problems).toEqual([])
  expect(await Promise.all(servers.map((server) => server.stop()))).toEqual([0, 0, 0, 0])

  await using store = await openStore(storeUri)
  await using backend = await openBackend(backendUri)
  const uris = new Set<string>()
  for (const zone of ZONES) {
    const scope: Scope = { kind: 'zone', id: zone }
    const { rows, total } = await store.listCsrs(scope, {
      ...{ orderBy: 'created_at', direction: 'asc', offset: 0, limit: 5000 },
    })
    expect(total).toBe(rows.length)
    expect(new Set(rows.map(({ id }) => id))).toEqual(alive.get(zone))
    for (const { csr, key } of rows) {
      uris.add(key.uri ?? '')
      const { publicKey } = await parseCsr(csr)
      expect((await backend.getKey(key.uri ?? '')).publicKey).toEqual(publicKey.spki)
    }
  }
  for await (const { uri } of backend.listKeys()) expect(uris.delete(uri)).toBe(true)
  expect(uris.size).toBe(0)
  expect(await store.unfinishedKeys({ now: new Date(8e15), limit: 10 })).toEqual([])
  await rm(directory, { recursive: true })
}, 180_000)
