import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openBackend } from '../../backends/index.ts'
import { parseCsr } from '../../src/csr/parse-csr.ts'
import { createSoftHsmToken, startKmsEmulator } from '../../src/testing/index.ts'
import { createCredential, startServe } from '../support/serve-process.ts'

interface Answer {
  readonly success: boolean
  readonly result: { readonly id: string; readonly csr: string } | { readonly id: string }[]
}

test('KEYSTAY_BACKEND changed from SoftHSM to KMS: new keys there, old ones still served', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keystay-change-'))
  await using token = await createSoftHsmToken()
  const emulator = await startKmsEmulator()
  const credentials = join(directory, 'credentials.json')
  const { secret } = await createCredential(credentials, { zones: ['demo'] })
  const env = {
    ...token.env,
    ...emulator.env,
    KEYSTAY_STORE: `sqlite:${join(directory, 'keystay.db')}`,
    KEYSTAY_CREDENTIALS: credentials,
  }
  const body = await readFile(join(import.meta.dirname, '../../examples/request.json'))
  const asker =
    (url: string) =>
    async (method: string, path = ''): Promise<{ status: number } & Answer> => {
      const answer = await fetch(`${url}/zones/demo/custom_csrs${path}`, {
        method,
        headers: { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' },
        ...(method === 'POST' && { body }),
      })
      return { status: answer.status, ...((await answer.json()) as Answer) }
    }
  const keysOnToken = async (): Promise<number> => {
    await using backend = await openBackend(token.uri)
    let count = 0
    for await (const listing of backend.listKeys()) count += listing.uri === '' ? 0 : 1
    return count
  }

  const old: { id: string; csr: string }[] = []
  {
    await using server = await startServe({ ...env, KEYSTAY_BACKEND: token.uri })
    const ask = asker(server.url)
    for (let index = 0; index < 3; index++) {
      const { status, result } = await ask('POST')
      expect(status).toBe(201)
      old.push(result as { id: string; csr: string })
    }
    expect(await server.stop()).toBe(0)
  }
  expect(await keysOnToken()).toBe(3)
  expect(emulator.keys()).toHaveLength(0)

  await using server = await startServe({ ...env, KEYSTAY_BACKEND: emulator.uri })
  const ask = asker(server.url)
  const { result } = await ask('POST')
  const { id, csr } = result as { id: string; csr: string }
  expect((await parseCsr(csr)).signature.status).toBe('valid')
  expect(emulator.keys()).toHaveLength(1)
  expect(await keysOnToken()).toBe(3)

  const listed = (await ask('GET')).result as { id: string }[]
  expect(listed.map((row) => row.id)).toEqual([...old.map((row) => row.id), id])
  expect((await ask('GET', `/${old[0]?.id ?? ''}`)).result).toMatchObject({ csr: old[0]?.csr })
  for (const row of old.slice(1)) expect((await ask('DELETE', `/${row.id}`)).status).toBe(200)
  expect(await keysOnToken()).toBe(1)
  {
    // Who does not trust the database to say where old keys are says it.
    const given = { KEYSTAY_BACKEND: emulator.uri, KEYSTAY_OLD_BACKENDS: token.uri }
    await using named = await startServe({ ...env, ...given })
    const { status } = await asker(named.url)('DELETE', `/${old[0]?.id ?? ''}`)
    expect(status).toBe(200)
  }
  expect(await keysOnToken()).toBe(0)
  expect((await ask('DELETE', `/${id}`)).status).toBe(200)
  expect(emulator.keys()[0]?.state).toBe('PendingDeletion')
  expect((await ask('GET')).result).toEqual([])

  await server.stop()
  await emulator.close()
  await rm(directory, { recursive: true })
})
