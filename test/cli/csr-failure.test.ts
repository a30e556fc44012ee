import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { KeystayError } from '../../src/errors.ts'
import { errorOf, fakeBackends, keysOf, run, type RunResult } from './support.ts'

const CSR = ['csr', '--backend', 'webcrypto:']

describe('a failure after the key was made', () => {
  const broken = new KeystayError('backend_unavailable', 'the token has gone')
  const argv = [...CSR, '--cn', 'x', '-t', 'p256v1', '--json']

  async function failingToSign(overrides: object = {}): ReturnType<typeof fakeBackends> {
    const real = await fakeBackends()
    const { backends } = await fakeBackends(
      {
        generateKey: async (keyType, options) => ({
          ...(await real.backend.generateKey(keyType, options)),
          sign: () => Promise.reject(broken),
        }),
        ...overrides,
      },
      real.backend,
    )
    return { backends, backend: real.backend }
  }

  test('destroys the key again', async () => {
    const { backends, backend } = await failingToSign()
    const result = await run(argv, { backends })
    expect(result).toMatchObject({ exitCode: 1, stdout: '' })
    expect(errorOf(result)).toEqual({
      code: 'backend_unavailable',
      message: 'the token has gone; the key made for it is destroyed',
    })
    expect(await keysOf(backend)).toEqual([])
  })

  test('says so when the destruction is scheduled, or fails', async () => {
    const at = new Date('2026-12-23T10:11:12Z')
    const scheduled = await failingToSign({ destroyKey: async () => ({ state: 'scheduled', at }) })
    const later = errorOf(await run(argv, { backends: scheduled.backends }))
    expect(later.message).toContain('the key made for it is scheduled for 2026-12-23T10:11:12Z')

    const stuck = await failingToSign({ destroyKey: () => Promise.reject(broken) })
    const left = errorOf(await run(argv, { backends: stuck.backends }))
    const [uri = ''] = await keysOf(stuck.backend)
    expect(left.message).toContain(
      `could not be destroyed (the token has gone); do it with: keystay keys destroy '${uri}' --backend 'webcrypto:'`,
    )
  })

  test('never destroys a key that was there before', async () => {
    const real = await fakeBackends()
    const key = await real.backend.generateKey('p256v1', { label: 'keystay:before' })
    const { backends } = await fakeBackends(
      {
        getKey: async () => ({ ...key, sign: () => Promise.reject(broken) }),
      },
      real.backend,
    )
    const result = await run([...argv, '--key', key.uri], { backends })
    expect(errorOf(result)).toEqual({ code: 'backend_unavailable', message: 'the token has gone' })
    expect(await keysOf(real.backend)).toEqual([key.uri])
  })
})

describe('Ctrl-C', () => {
  async function interrupted(options: readonly string[] = []): Promise<[RunResult, string[]]> {
    const controller = new AbortController()
    const real = await fakeBackends()
    const { backends } = await fakeBackends(
      {
        // A device that goes on after nobody waits any more.
        generateKey: async (keyType, generate) => {
          await real.backend.generateKey(keyType, { label: generate.label })
          controller.abort()
          return await Promise.reject(controller.signal.reason as Error)
        },
      },
      real.backend,
    )
    const { signal } = controller
    const result = await run([...CSR, '--cn', 'x', ...options], { backends, signal })
    return [result, await keysOf(real.backend)]
  }

  test('while a key is being made leaves none behind', async () => {
    const [result, left] = await interrupted()
    expect(result).toMatchObject({ exitCode: 130, stdout: '' })
    expect(result.stderr).toBe(
      'keystay: interrupted; the key made for it is destroyed [interrupted]\n',
    )
    expect(left).toEqual([])
  })

  test('does not destroy by a label that somebody chose', async () => {
    const [result, left] = await interrupted(['--label', 'mine'])
    expect(result.exitCode).toBe(130)
    expect(result.stderr).toContain(`interrupted; the key ${left[0] ?? ''} remains`)
  })

  test('while standard input is awaited', async () => {
    const controller = new AbortController()
    setTimeout(() => {
      controller.abort()
    }, 20)
    const { signal } = controller
    const result = await run([...CSR, '--in', '-'], { stdin: new PassThrough(), signal })
    expect(result).toMatchObject({ exitCode: 130, stderr: 'keystay: interrupted [interrupted]\n' })
  })
})
