import { afterAll, beforeAll, expect, test } from 'vitest'
import { openPkcs11Backend } from '../../../backends/pkcs11/index.ts'
import { createSoftHsmToken, type SoftHsmToken } from '../../../src/testing/softhsm.ts'
import { clearFaults, disposeFaults, faultyPkcs11, listCalls, plantFault } from './faults.ts'
import { collect, openBareDriver, signAndVerify } from './helpers.ts'

/** Set it to 5000 to measure with as many keys on the token; making them takes minutes. */
const KEYS = Number(process.env['KEYSTAY_TEST_KEYS'] ?? 0)

let token: SoftHsmToken

beforeAll(async () => {
  token = await createSoftHsmToken()
})

afterAll(async () => {
  await token.dispose()
  disposeFaults()
})

test('no function of the module is called on the event loop', async () => {
  const backend = await openPkcs11Backend(token.uri, { pkcs11js: faultyPkcs11 })
  const key = await backend.generateKey('p256v1', { label: 'off-loop' })
  await signAndVerify(key)
  await key.attest()
  await backend.getKey(key.uri)
  await backend.findKey('off-loop')
  await collect(backend.listKeys())
  await collect(backend.diagnose())
  plantFault('C_Sign', { ckr: 0x30 })
  await signAndVerify(key)
  await backend.destroyKey(key.uri)
  await backend.close()
  expect(listCalls()).toEqual(
    expect.arrayContaining([
      ...['C_Initialize', 'C_GetTokenInfo', 'C_OpenSession', 'C_Login', 'C_FindObjects'],
      ...['C_GenerateKeyPair', 'C_SignInit', 'C_Sign', 'C_GetAttributeValue', 'C_DestroyObject'],
    ]),
  )
  expect(listCalls('main-calls')).toEqual([])
  clearFaults()
})

test.skipIf(KEYS === 0)(
  `with ${KEYS} keys on the token the event loop goes on`,
  async () => {
    const first = await openPkcs11Backend(token.uri)
    const { driver, slot } = openBareDriver(token)
    const session = driver.C_OpenSession(slot, 6)
    for (let index = 0; index < KEYS; index++) {
      const names = [
        { type: 0x001, value: true },
        { type: 0x102, value: Buffer.from(`id-${index}`) },
        { type: 0x003, value: `many:${index}` },
      ]
      const curve = { type: 0x180, value: Buffer.from('06082a8648ce3d030107', 'hex') }
      driver.C_GenerateKeyPair(session, { mechanism: 0x1040 }, [...names, curve], names)
    }
    driver.C_CloseSession(session)
    const backend = await openPkcs11Backend(token.uri)
    const stalls: string[] = []
    const measure = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
      let longest = 0
      let last = performance.now()
      const timer = setInterval(() => {
        longest = Math.max(longest, performance.now() - last - 1)
        last = performance.now()
      }, 1)
      const begin = performance.now()
      const result = await work()
      clearInterval(timer)
      const took = performance.now() - begin
      stalls.push(`${name}: ${took.toFixed(0)} ms, longest stall ${longest.toFixed(1)} ms`)
      // Blocking, each of these but signing would stall for as long as it takes.
      if (took > 200) expect(longest, name).toBeLessThan(took / 2)
      return result
    }
    const key = await measure('generate', () => backend.generateKey('p256v1', { label: 'one' }))
    await measure('sign', () => Promise.all(Array.from({ length: 64 }, () => signAndVerify(key))))
    await measure('get', () => backend.getKey(key.uri))
    await measure('find', () => backend.findKey('many:7'))
    await measure('list', () => collect(backend.listKeys()))
    await measure('destroy', () => backend.destroyKey(key.uri))
    process.stdout.write(`${stalls.join('\n')}\n`)
    await backend.close()
    await first.close()
  },
  600_000,
)
