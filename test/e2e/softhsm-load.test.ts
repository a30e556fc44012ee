import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { openBackend } from '../../backends/index.ts'
import { CsrBuilder, parseCsr, type BackendKey } from '../../src/index.ts'
import { createSoftHsmToken } from '../../src/testing/index.ts'

const REQUESTS = 1000
const IN_FLIGHT = 64
const SESSIONS = 4

function signInWorker(uri: string, label: string): Promise<string[]> {
  const workerData = { uri, label, count: 200 }
  const worker = new Worker(new URL('./sign-requests.ts', import.meta.url), { workerData })
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

async function signMany(key: BackendKey, count: number, inFlight: number): Promise<string[]> {
  const builder = new CsrBuilder({
    subject: { country: 'US', commonName: 'app.example.com' },
    sans: ['app.example.com', 'www.example.com'],
  })
  const pems: string[] = []
  let left = count
  const lane = async (): Promise<void> => {
    while (left-- > 0) pems.push((await builder.sign(key)).pem)
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  return pems
}

/** OpenSC's pkcs11-spy stands between us and SoftHSM and writes every call down. */
const [SPY = ''] = globSync('/usr/lib/{,*/}{,pkcs11/}pkcs11-spy.so')

/** The most sessions that were open at once, by what the spy saw. */
function countSessions(log: string): number {
  let open = 0
  let most = 0
  for (const [, name] of log.matchAll(/^\d+: (C_OpenSession|C_CloseSession)$/gm)) {
    open += name === 'C_OpenSession' ? 1 : -1
    most = Math.max(most, open)
  }
  return most
}

describe('a SoftHSM token under load', () => {
  test('1,000 requests, with a second backend and two worker threads at work', async () => {
    await using token = await createSoftHsmToken()
    const spyLog = join(token.directory, 'spy.log')
    process.env['PKCS11SPY'] = token.modulePath
    process.env['PKCS11SPY_OUTPUT'] = spyLog
    const uri = `${token.uri.replace(token.modulePath, SPY)}&max-sessions=${SESSIONS}`
    process.env['KEYSTAY_TEST_PIN'] = await readFile(token.pinFile, 'utf8')
    const otherUri = uri.replace(/pin-source=[^&]*/, 'pin-source=env:KEYSTAY_TEST_PIN')
    await using backend = await openBackend(uri)
    await using other = await openBackend(otherUri)
    const key = await backend.generateKey('p256v1', { label: 'load:main' })
    const otherKey = await other.generateKey('rsa2048', { label: 'load:other' })

    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    const results = await Promise.all([
      signMany(key, REQUESTS, IN_FLIGHT),
      signMany(otherKey, 100, 8),
      signInWorker(uri, 'load:worker-1'),
      signInWorker(uri, 'load:worker-2'),
    ])
    delay.disable()
    const mostSessions = countSessions(await readFile(spyLog, 'latin1'))

    console.info(
      `longest stall of the event loop: ${(delay.max / 1e6).toFixed(1)} ms; most sessions: ${mostSessions}`,
    )
    expect(results.map((pems) => pems.length)).toEqual([REQUESTS, 100, 200, 200])
    const verdicts = await Promise.all(results.flat().map((pem) => parseCsr(pem)))
    expect(new Set(verdicts.map(({ signature }) => signature.status))).toEqual(new Set(['valid']))
    // Two backends of one thread share a pool; each worker thread has one of its own.
    expect(mostSessions).toBeGreaterThan(0)
    expect(mostSessions).toBeLessThanOrEqual(3 * SESSIONS)
    expect(await backend.findKey('load:main')).toBeDefined()
  })
})
