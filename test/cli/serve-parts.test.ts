import { Writable } from 'node:stream'
import { describe, expect, test, vi } from 'vitest'
import { createHealth } from '../../src/cli/serve/health.ts'
import { createLog } from '../../src/cli/serve/log.ts'
import { KeystayError } from '../../src/errors.ts'

describe('readiness', () => {
  const ready = new Request('http://localhost/readyz')

  test('is checked once for all who ask at a time, and again after a while', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    try {
      let checks = 0
      const health = createHealth({
        checkReady: async () => {
          checks++
        },
      })
      const asked = await Promise.all(Array.from({ length: 20 }, () => health.answer(ready)))
      expect(asked.map((answer) => answer?.status)).toEqual(Array.from({ length: 20 }, () => 200))
      expect(checks).toBe(1)
      vi.setSystemTime(Date.now() + 4_000)
      await health.answer(ready)
      expect(checks).toBe(1)
      vi.setSystemTime(Date.now() + 2_000)
      await health.answer(ready)
      expect(checks).toBe(2)
    } finally {
      vi.useRealTimers()
    }
  })

  test.each([
    [new KeystayError('store_unavailable', 'db1 at 10.0.0.1 refuses'), 'the store does not answer'],
    [new KeystayError('token_not_found', 'slot 7 is empty'), 'the backend does not sign'],
    [new Error('secret'), 'the backend does not sign'],
  ])('is lost with %s, in general words', async (error, reason) => {
    const heard: unknown[] = []
    const health = createHealth({
      checkReady: () => Promise.reject(error),
      onError: (what) => heard.push(what),
    })
    const answer = await health.answer(ready)
    expect([answer?.status, await answer?.json()]).toEqual([503, { status: 'unavailable', reason }])
    expect(heard).toEqual([error])
    const alive = await health.answer(new Request('http://localhost/healthz'))
    expect(alive?.status).toBe(200)
  })

  test('ends when the server stops, life does not', async () => {
    const health = createHealth({ checkReady: async () => undefined })
    health.stop()
    const answer = await health.answer(ready)
    expect(answer?.status).toBe(503)
    expect(await answer?.json()).toEqual({
      status: 'unavailable',
      reason: 'the server is stopping',
    })
    expect((await health.answer(new Request('http://localhost/healthz')))?.status).toBe(200)
    expect(await health.answer(new Request('http://localhost/client/v4/readyz'))).toBeUndefined()
  })
})

describe('the log', () => {
  function logError(error: unknown): { line: string; err: Record<string, unknown> } {
    let line = ''
    const stdout = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        line += chunk.toString()
        done()
      },
    })
    const log = createLog({ stdout }, 'info')
    log.error({ err: error }, 'failed')
    log.debug('not at this level')
    return { line, err: (JSON.parse(line) as { err: Record<string, unknown> }).err }
  }

  test('has errors with their causes, and nothing of them that may be secret', () => {
    const driver = Object.assign(
      new Error('cannot connect to postgres://u:Pqx@Zqx@db/x and pkcs11:token=t?pin-value=8241'),
      { code: 'ECONNREFUSED', detail: 'Key (name)=(private) exists', password: 'private' },
    )
    const { line, err } = logError(new KeystayError('store_unavailable', 'no', { cause: driver }))
    expect(err).toMatchObject({
      type: 'KeystayError',
      code: 'store_unavailable',
      message: 'no',
      cause: {
        type: 'Error',
        code: 'ECONNREFUSED',
        message: 'cannot connect to postgres://u:***@db/x and pkcs11:token=t?pin-value=***',
      },
    })
    for (const secret of ['Pqx', 'Zqx', '8241', 'private']) expect(line).not.toContain(secret)
  })

  test('stays one line that is safe on a terminal, also for causes without an end', () => {
    const error = new Error('a\nb\u001b[31m\u009b1m\u202e')
    error.cause = error
    const { line, err } = logError(error)
    expect(line.split('\n')).toHaveLength(2)
    expect(line.trim()).toMatch(/^[\u0020-\u007e]+$/)
    expect(err['message']).toBe(error.message)
    expect(logError('text').err).toEqual({ type: 'string', message: 'text' })
  })
})
