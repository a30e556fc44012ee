import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { readSecretSource } from '../../backends/secret-source.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keystay-secret-'))
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await rm(directory, { recursive: true })
})

async function fileWith(content: string | Uint8Array): Promise<string> {
  const path = join(directory, crypto.randomUUID())
  await writeFile(path, content)
  return path
}

test.each([
  ['hunter2', 'hunter2'],
  ['hunter2\n', 'hunter2'],
  ['hunter2\r\n', 'hunter2'],
  ['  hünter 2\t', '  hünter 2\t'],
])('a file that holds %j gives %j', async (content, secret) => {
  const path = await fileWith(content)
  expect(await readSecretSource(`file:${path}`, 'pin-source')).toBe(secret)
  expect(await readSecretSource(`file://${path}`, 'pin-source')).toBe(secret)
})

test('an environment variable gives its value', async () => {
  vi.stubEnv('KEYSTAY_TEST_SECRET', 'hunter2')
  expect(await readSecretSource('env:KEYSTAY_TEST_SECRET', 'pin-source')).toBe('hunter2')
})

test.each([
  ['secret_source_invalid', 'hunter2'],
  ['secret_source_invalid', ''],
  ['secret_source_invalid', 'file:'],
  ['secret_source_invalid', 'env:'],
  ['secret_source_invalid', 'exec:hunter2'],
  ['secret_source_invalid', '|hunter2'],
  ['secret_source_invalid', 'file:relative/path'],
  ['secret_source_invalid', 'file:~/pin'],
  ['secret_source_invalid', 'file://host/pin'],
  ['secret_source_unreadable', 'env:KEYSTAY_TEST_NOT_SET'],
  ['secret_source_unreadable', 'file:/does/not/exist'],
  ['secret_source_unreadable', 'file:/tmp'],
])('%s: %j', async (code, source) => {
  const reading = readSecretSource(source, 'pin-source')
  await expect(reading).rejects.toMatchObject({
    code,
    message: expect.stringMatching(/^pin-source/) as string,
  })
  await expect(reading).rejects.not.toThrow('hunter2')
})

test.each([
  ['secret_source_empty', ''],
  ['secret_source_empty', '\n'],
  ['secret_source_invalid', 'hunter2\nhunter2\n'],
  ['secret_source_invalid', 'hunter2\n\n'],
  ['secret_source_invalid', 'hunter2\0'],
  ['secret_source_invalid', Buffer.from([...Buffer.from('hunter2'), 0xff])],
])('%s: a file that holds %j, and the error does not show it', async (code, content) => {
  const reading = readSecretSource(`file:${await fileWith(content)}`, 'pin-source')
  await expect(reading).rejects.toMatchObject({ code })
  const error = await reading.catch((reason: unknown) => reason)
  expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('hunter2')
})

test('an empty environment variable is not a secret', async () => {
  vi.stubEnv('KEYSTAY_TEST_SECRET', '')
  await expect(readSecretSource('env:KEYSTAY_TEST_SECRET', 'pin-source')).rejects.toMatchObject({
    code: 'secret_source_empty',
  })
})
