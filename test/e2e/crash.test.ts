import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startKmsEmulator } from '../../src/testing/index.ts'
import { createCredential, startServe } from '../support/serve-process.ts'

test('an Idempotency-Key sent again after a crash between key and answer makes one of each', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'keystay-crash-'))
  const emulator = await startKmsEmulator()
  const credentials = join(directory, 'credentials.json')
  const { secret } = await createCredential(credentials, { zones: ['demo'] })
  const env = {
    ...emulator.env,
    KEYSTAY_BACKEND: emulator.uri,
    KEYSTAY_STORE: `sqlite:${join(directory, 'keystay.db')}`,
    KEYSTAY_CREDENTIALS: credentials,
  }
  const body = await readFile(join(import.meta.dirname, '../../examples/request.json'))
  const create = async (url: string): Promise<{ status: number; id: string }> => {
    const answer = await fetch(`${url}/zones/demo/custom_csrs`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${secret}`,
        'Content-Type': 'application/json',
        'Idempotency-Key': 'the-same',
      },
      body,
    })
    const { result } = (await answer.json()) as { result: { id: string } }
    return { status: answer.status, id: result.id }
  }

  // The device has made the key, and takes its time to sign.
  emulator.inject('Sign', { kind: 'delay', ms: 60_000 })
  const first = await startServe(env)
  const lost = create(first.url)
  lost.catch(() => undefined)
  await expect.poll(() => emulator.keys().length).toBe(1)
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  await expect(lost).rejects.toThrow()

  await using second = await startServe(env)
  const answers = await Promise.all([create(second.url), create(second.url)])
  expect(answers.map(({ status }) => status)).toEqual([201, 201])
  expect(answers[0].id).toBe(answers[1].id)
  const usable = emulator.keys().filter(({ state }) => state === 'Enabled')
  expect(usable).toHaveLength(1)
  const list = await fetch(`${second.url}/zones/demo/custom_csrs`, {
    headers: { Authorization: `Bearer ${secret}` },
  })
  expect(await list.json()).toMatchObject({ result_info: { total_count: 1 } })
  await second.stop()
  await emulator.close()
  await rm(directory, { recursive: true })
}, 120_000)
