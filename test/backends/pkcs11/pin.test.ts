import { writeFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { diagnosePkcs11, openPkcs11Backend } from '../../../backends/pkcs11/index.ts'
import { createSoftHsmToken, type SoftHsmToken } from '../../../src/testing/softhsm.ts'
import { clearFaults, countCalls, disposeFaults, faultyPkcs11, plantFault } from './faults.ts'
import { collect, expectCode, openBareDriver, readPin, signAndVerify } from './helpers.ts'

const USER_PIN_COUNT_LOW = 0x1_0000
const USER_PIN_FINAL_TRY = 0x2_0000
const USER_PIN_LOCKED = 0x4_0000
const READY = 0x42d

let token: SoftHsmToken
const options = { pkcs11js: faultyPkcs11 }

beforeAll(async () => {
  token = await createSoftHsmToken()
})

afterEach(() => {
  clearFaults()
})

afterAll(async () => {
  await token.dispose()
  disposeFaults()
})

function withoutPin(): string {
  return token.uri.replace(/&pin-source=.*/, '')
}

test('a wrong PIN is tried once, whoever asks, and the right one goes on', async () => {
  const wrong = { ...options, pin: '000000000000' }
  const first = await expectCode(openPkcs11Backend(token.uri, wrong), 'pin_incorrect')
  expect(first.message).toContain('will not be tried again')
  const again = await Promise.allSettled(
    Array.from({ length: 4 }, () => openPkcs11Backend(token.uri, wrong)),
  )
  for (const outcome of again) expect(outcome).toMatchObject({ reason: { code: 'pin_latched' } })
  expect(countCalls('C_Login')).toBe(1)
  const backend = await openPkcs11Backend(token.uri, options)
  await backend.close()
  expect(countCalls('C_Login')).toBe(2)
})

test('many at once with a wrong PIN make one attempt', async () => {
  const wrong = { ...options, pin: '111111111111' }
  await Promise.allSettled(Array.from({ length: 4 }, () => openPkcs11Backend(token.uri, wrong)))
  expect(countCalls('C_Login')).toBe(1)
})

test('a second backend with another PIN is refused without touching the token', async () => {
  const backend = await openPkcs11Backend(token.uri, options)
  clearFaults()
  await expectCode(openPkcs11Backend(token.uri, { ...options, pin: '222222222222' }), 'pin_differs')
  expect(countCalls('C_Login')).toBe(0)
  process.env['KEYSTAY_TEST_PIN'] = readPin(token)
  const second = await openPkcs11Backend(`${withoutPin()}&pin-source=env:KEYSTAY_TEST_PIN`, options)
  const key = await second.generateKey('p256v1', { label: 'shared' })
  await second.close()
  expect(await signAndVerify(await backend.getKey(key.uri))).toBe(true)
  await backend.close()
  // The last one has logged out: now the token is asked.
  await expectCode(
    openPkcs11Backend(token.uri, { ...options, pin: '333333333333' }),
    'pin_incorrect',
  )
})

test('the PIN comes from file, environment, option, function, or the URI where allowed', async () => {
  const pin = readPin(token)
  await expectCode(openPkcs11Backend(withoutPin(), options), 'pin_missing')
  await expectCode(openPkcs11Backend(withoutPin(), { ...options, pin: '' }), 'pin_missing')
  const inUri = `${withoutPin()}&pin-value=${pin}`
  const refused = await expectCode(openPkcs11Backend(inUri, options), 'pin_value_refused')
  expect(refused.message).not.toContain(pin)
  for (const [uri, more] of [
    [inUri, { allowPinValue: true }],
    [withoutPin(), { pin }],
    [withoutPin(), { pin: () => pin }],
    [withoutPin(), { pin: () => Promise.resolve(pin) }],
  ] as const) {
    await (await openPkcs11Backend(uri, { ...options, ...more })).close()
  }
  await expectCode(
    openPkcs11Backend(`${withoutPin()}&pin-source=file:/absent/pin`, options),
    'secret_source_unreadable',
  )
})

test('before a login the token is asked how many attempts are left', async () => {
  plantFault('C_GetTokenInfo', { patch: { flags: READY | USER_PIN_LOCKED } }, true)
  await expectCode(openPkcs11Backend(token.uri, options), 'pin_locked')
  clearFaults()
  plantFault('C_GetTokenInfo', { patch: { flags: READY | USER_PIN_FINAL_TRY } }, true)
  await expectCode(openPkcs11Backend(token.uri, options), 'pin_final_try')
  expect(countCalls('C_Login')).toBe(0)
  await (await openPkcs11Backend(token.uri, { ...options, allowFinalTry: true })).close()
  clearFaults()
  plantFault('C_GetTokenInfo', { patch: { flags: READY & ~0x8 } }, true)
  await expectCode(openPkcs11Backend(token.uri, options), 'pin_uninitialized')
  clearFaults()
  plantFault('C_GetTokenInfo', { patch: { flags: READY | USER_PIN_COUNT_LOW } }, true)
  const steps = await collect(diagnosePkcs11(token.uri, options))
  expect(steps.find(({ name }) => name === 'PIN state')).toMatchObject({ status: 'warning' })
})

test.each([
  ['CKR_PIN_LOCKED', 0xa4, 'pin_locked'],
  ['CKR_PIN_EXPIRED', 0xa3, 'pin_expired'],
  ['CKR_PIN_LEN_RANGE', 0xa2, 'pin_incorrect'],
  ['CKR_USER_ANOTHER_ALREADY_LOGGED_IN', 0x104, 'token_login_taken'],
] as const)('a login that fails with %s', async (_, ckr, code) => {
  plantFault('C_Login', { ckr })
  await expectCode(openPkcs11Backend(token.uri, { ...options, pin: `4${ckr}` }), code)
})

test('when the token is logged in by other code, the PIN is said not to have been checked', async () => {
  const first = await openPkcs11Backend(token.uri, options)
  const { driver, slot } = openBareDriver(token)
  const session = driver.C_OpenSession(slot, 6)
  await first.close()
  const steps = await collect(diagnosePkcs11(token.uri, { ...options, pin: '555555' }))
  expect(steps.find(({ name }) => name === 'login')).toMatchObject({
    status: 'warning',
    detail: expect.stringContaining('did not look at the PIN') as string,
  })
  driver.C_CloseSession(session)
})

test('a PIN that changed at its source is read again at the next login', async () => {
  const pin = readPin(token)
  let current = pin
  const backend = await openPkcs11Backend(withoutPin(), { ...options, pin: () => current })
  const key = await backend.generateKey('p256v1', { label: 'rotated' })
  const { driver, slot } = openBareDriver(token)
  const session = driver.C_OpenSession(slot, 6)
  current = '666666666666'
  driver.C_Logout(session)
  await expectCode(key.sign(new Uint8Array(1)), 'pin_incorrect')
  await expectCode(key.sign(new Uint8Array(1)), 'pin_latched')
  current = pin
  expect(await signAndVerify(key)).toBe(true)
  driver.C_CloseSession(session)
  await backend.close()
})

test('no error or diagnosis shows a PIN', async () => {
  const pin = '987698769876'
  await writeFile(token.pinFile + '.wrong', pin)
  const uri = `${withoutPin()}&pin-source=file:${token.pinFile}.wrong`
  const error = await expectCode(openPkcs11Backend(uri, options), 'pin_incorrect')
  const steps = await collect(
    diagnosePkcs11(`${withoutPin()}&pin-value=${pin}`, { ...options, allowPinValue: true }),
  )
  expect(steps.map(({ status }) => status)).toContain('failed')
  const shown = [error.message, error.stack, JSON.stringify(error), JSON.stringify(steps)].join()
  expect(shown).not.toContain(pin)
})
