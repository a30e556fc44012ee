import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { diagnoseWebCrypto, openWebCryptoBackend } from '../../../backends/webcrypto/index.ts'
import { isDiagnosable, type DiagnosisStep } from '../../../src/key/backend.ts'
import { collect } from '../../../src/testing/contract/workbench.ts'
import { keyringDirectories } from './keyring-directory.ts'

const { next, open, secret } = keyringDirectories()

const diagnose = (
  directory: string,
  given: string | undefined = secret,
): Promise<DiagnosisStep[]> =>
  collect(diagnoseWebCrypto(`webcrypto:${directory}`, { secret: given }))

const statuses = (steps: readonly DiagnosisStep[]): Record<string, string> =>
  Object.fromEntries(steps.map(({ name, status }) => [name, status]))

test('in memory there is the runtime to look at', async () => {
  await using backend = await openWebCryptoBackend('webcrypto:')
  expect(isDiagnosable(backend)).toBe(true)
  expect(statuses(await collect(backend.diagnose()))).toEqual({ URI: 'ok', WebCrypto: 'ok' })
})

test('a keyring that is not there yet is no fault, and is not made', async () => {
  const directory = next()
  expect(statuses(await diagnose(directory))).toEqual({
    ...{ URI: 'ok', WebCrypto: 'ok', directory: 'ok', secret: 'ok', keyring: 'skipped' },
  })
  await expect(readdir(directory)).rejects.toThrow('ENOENT')
})

test('a keyring that works says how many keys it has', async () => {
  const directory = next()
  await using backend = await open(directory)
  await backend.generateKey('ed25519', { label: 'one' })
  const steps = await diagnose(directory)
  expect(steps.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 'ok'))
  expect(steps.at(-1)).toMatchObject({ name: 'keys', detail: '1 can be read' })

  const { uri } = await backend.generateKey('ed25519', { label: 'two' })
  const [folder = '', name = ''] = (uri.split('id=')[1] ?? '').split('-')
  await writeFile(join(directory, folder, `${name}.json`), '{')
  expect((await diagnose(directory)).at(-1)).toMatchObject({
    status: 'failed',
    detail: expect.stringContaining(`1 can be read, 1 cannot: ${folder}-${name}`) as string,
  })
  expect(statuses(await diagnose(directory, 'another secret, long enough'))).toMatchObject({
    keyring: 'failed',
  })
})

test('what is wrong is said with its remedy', async () => {
  const directory = next()
  await mkdir(directory)
  await chmod(directory, 0o755)
  const steps = await diagnose(directory, 'short')
  expect(steps.slice(2)).toEqual([
    {
      name: 'directory',
      status: 'failed',
      detail: `${directory} can be entered by others than its owner (mode 0755)`,
      remedy: `run: chmod 700 ${directory}`,
    },
    {
      name: 'secret',
      status: 'failed',
      detail: "the keyring's secret has 5 bytes, and must have 16 or more",
      remedy: 'make one with: openssl rand -base64 32',
    },
  ])
})

test('a URI that is wrong ends it', async () => {
  expect(statuses(await collect(diagnoseWebCrypto('webcrypto:/k?a=b')))).toEqual({ URI: 'failed' })
})
