import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, expect, inject, test } from 'vitest'
import { openBackend } from '../../backends/index.ts'
import { createSoftHsmToken, startKmsEmulator } from '../../src/testing/index.ts'
import { createDatabase } from '../support/postgres.ts'
import { startServer } from '../support/serve-process.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const body = await readFile(join(ROOT, 'examples/request.json'))

describe.each(['hono', 'express', 'fastify'])('embedded in %s', (framework) => {
  test('the API answers beside the application’s own routes', async () => {
    const token = randomUUID()
    await using server = await startServer([`examples/embed/${framework}.ts`], {
      DEMO_TOKEN: token,
      PORT: '0',
    })
    expect(await (await fetch(server.url)).text()).toBe('my own application')
    const url = `${server.url}/client/v4/zones/demo/custom_csrs`
    const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
    const created = await fetch(url, { method: 'POST', headers, body })
    expect(created.status).toBe(201)
    const { result } = (await created.json()) as { result: { id: string; csr: string } }
    expect(result.csr).toContain('BEGIN CERTIFICATE REQUEST')

    const list = await fetch(`${url}?page=1&per_page=5`, { headers })
    expect(await list.json()).toMatchObject({ result_info: { total_count: 1 } })
    const malformed = await fetch(url, { method: 'POST', headers, body: '{' })
    expect([malformed.status, await malformed.json()]).toMatchObject([
      400,
      { errors: [{ code: 1400 }] },
    ])
    expect((await fetch(url, { headers: { Authorization: 'Bearer other' } })).status).toBe(401)
    expect((await fetch(`${url}/${result.id}`, { method: 'PUT', headers })).status).toBe(405)
    expect((await fetch(`${url}/${result.id}`, { method: 'DELETE', headers })).status).toBe(200)
    expect((await fetch(`${url}/${result.id}`, { headers })).status).toBe(404)
  })
})

describe('two instances on one PostgreSQL', () => {
  test('show the same CSRs; SoftHSM becomes KMS by one variable, and the old keys still go', async () => {
    await using token = await createSoftHsmToken()
    const emulator = await startKmsEmulator()
    const secret = randomUUID()
    const env = {
      ...token.env,
      ...emulator.env,
      DEMO_TOKEN: secret,
      PORT: '0',
      KEYSTAY_STORE: await createDatabase(inject('postgres')),
    }
    const program = ['examples/embed/hono.ts']
    const headers = { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' }
    const path = '/client/v4/accounts/acme/custom_csrs'
    await using first = await startServer(program, { ...env, KEYSTAY_BACKEND: token.uri })
    const created = await fetch(first.url + path, { method: 'POST', headers, body })
    const { result } = (await created.json()) as { result: { id: string } }

    await using second = await startServer(program, { ...env, KEYSTAY_BACKEND: emulator.uri })
    const seen = await fetch(`${second.url}${path}/${result.id}`, { headers })
    expect(await seen.json()).toMatchObject({ result: { ...result, account_tag: 'acme' } })
    expect((await fetch(second.url + path, { method: 'POST', headers, body })).status).toBe(201)
    expect(emulator.keys()).toHaveLength(1)
    const deleted = await fetch(`${second.url}${path}/${result.id}`, { method: 'DELETE', headers })
    expect(deleted.status).toBe(200)
    expect((await fetch(`${first.url}${path}/${result.id}`, { headers })).status).toBe(404)
    await using backend = await openBackend(token.uri)
    for await (const listing of backend.listKeys()) expect.unreachable(listing.uri)
    await first.stop()
    await second.stop()
    await emulator.close()
  })
})
