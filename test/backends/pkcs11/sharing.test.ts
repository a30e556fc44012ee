import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPkcs11Backend } from '../../../backends/pkcs11/index.ts'
import type { BackendKey, KeyBackend } from '../../../src/key/backend.ts'
import { createSoftHsmToken, type SoftHsmToken } from '../../../src/testing/softhsm.ts'
import { clearFaults, countCalls, disposeFaults, faultyPkcs11 } from './faults.ts'
import { signAndVerify } from './helpers.ts'

const run = promisify(execFile)
let token: SoftHsmToken
let backend: KeyBackend
let key: BackendKey

beforeAll(async () => {
  token = await createSoftHsmToken()
  backend = await openPkcs11Backend(token.uri, { pkcs11js: faultyPkcs11 })
  key = await backend.generateKey('p256v1', { label: 'shared' })
})

afterAll(async () => {
  await backend.close()
  await token.dispose()
  disposeFaults()
})

function signInWorker(count: number): Promise<number> {
  const worker = new Worker(new URL('./worker-program.ts', import.meta.url), {
    workerData: { uri: token.uri, keyUri: key.uri, count },
  })
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

test('1,000 signatures, 64 at a time, with another backend and two worker threads at work', async () => {
  clearFaults()
  const other = await openPkcs11Backend(token.uri, { pkcs11js: faultyPkcs11 })
  const same = await other.getKey(key.uri)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const workers = Promise.all([signInWorker(200), signInWorker(200)])
  let left = 1_000
  let verified = 0
  await Promise.all(
    Array.from({ length: 64 }, async (_, index) => {
      while (left-- > 0) if (await signAndVerify(index % 2 === 0 ? key : same)) verified++
    }),
  )
  expect(verified).toBe(1_000)
  expect(await workers).toEqual([200, 200])
  delay.disable()
  expect(countCalls('C_OpenSession'), 'sessions of this thread').toBeLessThanOrEqual(4)
  expect(countCalls('C_Logout') + countCalls('C_Finalize')).toBe(0)
  process.stdout.write(`longest stall of the event loop: ${(delay.max / 1e6).toFixed(1)} ms\n`)
  await other.close()
  expect(await signAndVerify(key), 'closing one has not logged out the others').toBe(true)
})

test('a pool keeps to the least that its backends ask for', async () => {
  const alone = await createSoftHsmToken()
  const wide = await openPkcs11Backend(`${alone.uri}&max-sessions=3`, { pkcs11js: faultyPkcs11 })
  const made = await wide.generateKey('p256v1', { label: 'narrow' })
  const signMany = () =>
    Promise.all(Array.from({ length: 100 }, () => made.sign(new Uint8Array(8))))
  const opened = async () => {
    await signMany()
    return countCalls('C_OpenSession')
  }
  clearFaults()
  await expect.poll(opened, { timeout: 10_000 }).toBe(2)
  clearFaults()
  const narrow = await openPkcs11Backend(`${alone.uri}&max-sessions=1`, { pkcs11js: faultyPkcs11 })
  await signMany()
  expect(countCalls('C_OpenSession')).toBe(0)
  expect(countCalls('C_CloseSession')).toBe(2)
  await narrow.close()
  expect(await signAndVerify(made)).toBe(true)
  await wide.close()
  await alone.dispose()
})

test('closing the last backend closes its sessions, and opening again works', async () => {
  const alone = await createSoftHsmToken()
  for (let round = 0; round < 2; round++) {
    const opened = await openPkcs11Backend(alone.uri, { pkcs11js: faultyPkcs11 })
    const made = await opened.generateKey('p256v1', { label: `round:${round}` })
    await Promise.all(Array.from({ length: 16 }, () => made.sign(new Uint8Array(8))))
    clearFaults()
    await opened.close()
    expect(countCalls('C_CloseSession')).toBeGreaterThan(0)
  }
  await alone.dispose()
})

/** Runs a program of its own against the token; answers what it prints. */
async function runProgram(code: string, ...flags: string[]): Promise<string> {
  const preamble = `
    import { openPkcs11Backend } from ${JSON.stringify(new URL('../../../backends/pkcs11/index.ts', import.meta.url).href)}
    const uri = ${JSON.stringify(token.uri)}, keyUri = ${JSON.stringify(key.uri)}
  `
  const { stdout } = await run(
    process.execPath,
    [...flags, '--input-type=module', '--eval', preamble + code],
    { env: { ...process.env, ...token.env }, timeout: 50_000 },
  )
  return stdout.trim()
}

test('a program that ends without closing ends well', async () => {
  const code = `
    const backend = await openPkcs11Backend(uri)
    const key = await backend.getKey(keyUri)
    console.log((await key.sign(new Uint8Array(3))).length > 60)
  `
  expect(await runProgram(code)).toBe('true')
  expect(await runProgram(`${code}; process.exit(0)`)).toBe('true')
})

test('worker threads come and go in a program whose main thread uses no token', async () => {
  const worker = new URL('./worker-program.ts', import.meta.url).href
  const code = `
    import { Worker } from 'node:worker_threads'
    const start = (count) => new Promise((resolve, reject) => {
      const worker = new Worker(new URL(${JSON.stringify(worker)}), { workerData: { uri, keyUri, count }, execArgv: [] })
      let verified
      worker.once('message', (value) => { verified = value })
      worker.once('error', reject)
      worker.once('exit', () => resolve(verified))
    })
    const rounds = []
    for (let round = 0; round < 3; round++) rounds.push(await Promise.all([start(20), start(20)]))
    console.log(JSON.stringify(rounds))
  `
  expect(await runProgram(code)).toBe('[[20,20],[20,20],[20,20]]')
})

test('signatures stay right while garbage is collected', async () => {
  const code = `
    import { createPublicKey, randomBytes, verify } from 'node:crypto'
    const backend = await openPkcs11Backend(uri)
    const key = await backend.getKey(keyUri)
    const publicKey = createPublicKey({ key: Buffer.from(key.publicKey), format: 'der', type: 'spki' })
    let verified = 0
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 8 }, async () => {
        const text = randomBytes(32).toString('hex')
        const pending = key.sign(Buffer.from(text))
        for (let index = 0; index < 20; index++) randomBytes(1000)
        gc()
        if (verify('sha256', Buffer.from(text), publicKey, await pending)) verified++
      }))
    }
    console.log(verified)
    await backend.close()
  `
  expect(await runProgram(code, '--expose-gc')).toBe('80')
})

test('an instance that no thread can load serves in this one', async () => {
  const code = `
    import { createRequire } from 'node:module'
    const pkcs11js = { ...createRequire(${JSON.stringify(import.meta.url)})('pkcs11js') }
    pkcs11js.PKCS11 = class extends pkcs11js.PKCS11 {}
    await using backend = await openPkcs11Backend(uri, { pkcs11js })
    const key = await backend.getKey(keyUri)
    for await (const { name, status, detail } of backend.diagnose()) {
      if (name === 'module') console.log(status, detail.includes('block'))
    }
    console.log((await key.sign(new Uint8Array(3))).length > 60)
  `
  expect(await runProgram(code)).toBe('warning true\ntrue')
})

const PROXY = '/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so'

test.skipIf(!existsSync(PROXY))(
  'p11-kit-proxy, which keeps a state for each that loads it, works beside the module itself',
  async () => {
    const uri = token.uri.replace(/module-path=[^&]*/, `module-path=${PROXY}`)
    const proxied = await openPkcs11Backend(uri)
    const same = await proxied.getKey(key.uri)
    const all = await Promise.all(Array.from({ length: 32 }, () => signAndVerify(same)))
    expect(all.every(Boolean)).toBe(true)
    await proxied.close()
    expect(await signAndVerify(key)).toBe(true)
  },
)
