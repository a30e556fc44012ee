import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openPkcs11Backend } from '../../../backends/pkcs11/index.ts'
import type { BackendKey, KeyBackend } from '../../../src/key/backend.ts'
import { createSoftHsmToken, type SoftHsmToken } from '../../../src/testing/softhsm.ts'
import { clearFaults, countCalls, disposeFaults, faultyPkcs11, plantFault } from './faults.ts'
import { expectCode, openBareDriver, pkcs11Tool, signAndVerify } from './helpers.ts'

const CKR = {
  GENERAL_ERROR: 0x5,
  DEVICE_ERROR: 0x30,
  DEVICE_REMOVED: 0x32,
  OBJECT_HANDLE_INVALID: 0x82,
  OPERATION_ACTIVE: 0x90,
  SESSION_COUNT: 0xb1,
  SESSION_HANDLE_INVALID: 0xb3,
  TOKEN_NOT_PRESENT: 0xe0,
  BUFFER_TOO_SMALL: 0x150,
}

let token: SoftHsmToken
let backend: KeyBackend
let key: BackendKey

beforeAll(async () => {
  token = await createSoftHsmToken()
  backend = await openPkcs11Backend(token.uri, {
    pkcs11js: faultyPkcs11,
    operationTimeoutMs: 5_000,
  })
  key = await backend.generateKey('p256v1', { label: 'recovery' })
})

afterEach(() => {
  clearFaults()
})

afterAll(async () => {
  await backend.close()
  await token.dispose()
  disposeFaults()
})

async function signMany(count: number): Promise<boolean> {
  const all = await Promise.all(Array.from({ length: count }, () => signAndVerify(key)))
  return all.every(Boolean)
}

async function keysLabelled(label: string): Promise<number> {
  return (
    (await pkcs11Tool(token, '--list-objects')).match(new RegExp(`label: +${label}$`, 'gm'))
      ?.length ?? 0
  )
}

describe('what other code in the process does to the token', () => {
  test('all sessions closed: calls go on', async () => {
    const opened = async () => (await signMany(64)) && countCalls('C_OpenSession')
    await expect.poll(opened, { timeout: 10_000 }).toBe(4)
    const { driver, slot } = openBareDriver(token)
    driver.C_CloseAllSessions(slot)
    expect(await signAndVerify(key)).toBe(true)
    driver.C_CloseAllSessions(slot)
    expect(await signMany(32)).toBe(true)
    driver.C_CloseAllSessions(slot)
    expect((await backend.findKey('recovery'))?.uri).toBe(key.uri)
    driver.C_CloseAllSessions(slot)
    await backend.destroyKey((await backend.generateKey('p256v1', { label: 'after' })).uri)
  })

  test('logged out: logged in again, once', async () => {
    const { driver, slot } = openBareDriver(token)
    const session = driver.C_OpenSession(slot, 6)
    driver.C_Logout(session)
    expect(await signMany(32)).toBe(true)
    expect(countCalls('C_Login')).toBe(1)
    driver.C_Logout(session)
    // Without a login private keys are invisible: that must not pass for "no such key".
    expect((await backend.findKey('recovery'))?.uri).toBe(key.uri)
    driver.C_Logout(session)
    await expectCode(backend.generateKey('p256v1', { label: 'recovery' }), 'label_taken')
    driver.C_CloseSession(session)
  })

  test('module finalised: it is initialised again', async () => {
    openBareDriver(token).driver.C_Finalize()
    expect(await signMany(8)).toBe(true)
    expect(countCalls('C_Finalize')).toBe(0)
  })

  test('key destroyed by another process: key_not_found, and others go on', async () => {
    const victim = await backend.generateKey('p256v1', { label: 'victim' })
    expect(await signAndVerify(victim)).toBe(true)
    await pkcs11Tool(token, '--delete-object', '--type', 'privkey', '--label', 'victim')
    await expectCode(victim.sign(new Uint8Array(8)), 'key_not_found')
    expect(await signMany(4)).toBe(true)
  })

  test('key created by another process: found at once', async () => {
    const id = '0102'
    await pkcs11Tool(
      token,
      '--keypairgen',
      '--key-type',
      'EC:prime256v1',
      '--label',
      'theirs',
      '--id',
      id,
    )
    const theirs = await backend.findKey('theirs')
    expect(theirs?.uri).toContain('id=%01%02')
    expect(theirs === undefined ? false : await signAndVerify(theirs)).toBe(true)
  })
})

describe('what the device answers', () => {
  test.each([
    ['C_SignInit', 'SESSION_HANDLE_INVALID'],
    ['C_Sign', 'SESSION_HANDLE_INVALID'],
    ['C_SignInit', 'OPERATION_ACTIVE'],
    ['C_SignInit', 'OBJECT_HANDLE_INVALID'],
    ['C_Sign', 'DEVICE_ERROR'],
    ['C_SignInit', 'DEVICE_REMOVED'],
    ['C_Sign', 'TOKEN_NOT_PRESENT'],
  ] as const)('%s fails once with CKR_%s: signed at the second attempt', async (call, name) => {
    plantFault(call, { ckr: CKR[name] })
    expect(await signAndVerify(key)).toBe(true)
    expect(countCalls('C_Finalize')).toBe(0)
  })

  test('a return value in a plain error is understood', async () => {
    plantFault('C_FindObjects', { ckr: CKR.SESSION_HANDLE_INVALID, plain: true })
    expect((await backend.findKey('recovery'))?.uri).toBe(key.uri)
  })

  test('an unknown failure is named with its number, and the session is replaced', async () => {
    plantFault('C_Sign', { ckr: CKR.BUFFER_TOO_SMALL })
    const error = await expectCode(key.sign(new Uint8Array(4)), 'pkcs11_call_failed')
    expect(error.message).toContain('CKR_BUFFER_TOO_SMALL (0x150)')
    clearFaults()
    for (let index = 0; index < 8; index++) expect(await signAndVerify(key)).toBe(true)
    expect(countCalls('C_SignInit'), 'no attempt on a session with an operation stuck').toBe(8)
  })

  test('a general error means a lost device only where the vendor says so', async () => {
    plantFault('C_Sign', { ckr: CKR.GENERAL_ERROR })
    await expectCode(key.sign(new Uint8Array(4)), 'pkcs11_call_failed')
    const vague = await openPkcs11Backend(token.uri, {
      pkcs11js: faultyPkcs11,
      profile: 'yubihsm',
    })
    plantFault('C_Sign', { ckr: CKR.GENERAL_ERROR })
    expect(await signAndVerify(await vague.getKey(key.uri))).toBe(true)
    await vague.close()
  })

  test('no session to be had: the ones there are serve', async () => {
    plantFault('C_OpenSession', { ckr: CKR.SESSION_COUNT }, true)
    expect(await signMany(16)).toBe(true)
  })
})

describe('a device that is away', () => {
  test('calls fail at once while it is, and go on when it is back', async () => {
    plantFault('C_Sign', { ckr: CKR.DEVICE_REMOVED }, true)
    plantFault('C_OpenSession', { ckr: CKR.DEVICE_REMOVED }, true)
    const first = await expectCode(key.sign(new Uint8Array(4)), 'backend_unavailable')
    expect(first.message).toContain('CKR_DEVICE_REMOVED')
    // The owner has tried the module anew, with no session open.
    expect(countCalls('C_Finalize')).toBe(1)
    const second = await expectCode(key.sign(new Uint8Array(4)), 'backend_unavailable')
    expect(second.message).toContain('next attempt')
    clearFaults()
    await expect.poll(() => signAndVerify(key).catch(() => false), { timeout: 10_000 }).toBe(true)
  })

  test('the module is left alone where that was asked', async () => {
    const careful = await openPkcs11Backend(token.uri, {
      pkcs11js: faultyPkcs11,
      reinitialize: false,
    })
    const same = await careful.getKey(key.uri)
    plantFault('C_OpenSession', { ckr: CKR.DEVICE_ERROR }, true)
    plantFault('C_Sign', { ckr: CKR.DEVICE_ERROR }, true)
    await expectCode(same.sign(new Uint8Array(4)), 'backend_unavailable')
    expect(countCalls('C_Finalize')).toBe(0)
    clearFaults()
    await expect.poll(() => signAndVerify(same).catch(() => false), { timeout: 10_000 }).toBe(true)
    await careful.close()
  })
})

describe('generating', () => {
  test('an answer that is lost leaves one key, not two', async () => {
    plantFault('C_GenerateKeyPair', { ckr: CKR.DEVICE_ERROR, afterwards: true })
    const lost = await backend.generateKey('p256v1', { label: 'lost-answer' })
    expect(await signAndVerify(lost)).toBe(true)
    expect(await keysLabelled('lost-answer')).toBe(2)
  })

  test('also where it could not be cleared up at once', async () => {
    plantFault('C_GenerateKeyPair', { ckr: CKR.DEVICE_ERROR, afterwards: true })
    plantFault('C_DestroyObject', { ckr: CKR.DEVICE_ERROR })
    await backend.generateKey('p256v1', { label: 'lost-twice' })
    expect(await keysLabelled('lost-twice')).toBe(2)
  })

  test('a key whose public half is wrong or hidden is not left behind', async () => {
    plantFault(
      'C_GetAttributeValue',
      { attribute: { type: 0x181, hex: `0441${'04'.repeat(65)}` } },
      true,
    )
    await expectCode(backend.generateKey('p256v1', { label: 'off-curve' }), 'public_key_invalid')
    clearFaults()
    plantFault('C_GetAttributeValue', { attribute: { type: 0x181, hex: '' } }, true)
    await expectCode(backend.generateKey('p256v1', { label: 'off-curve' }), 'public_key_unreadable')
    expect(await keysLabelled('off-curve')).toBe(0)
  })

  test('a failure after the key was made leaves none behind', async () => {
    plantFault('C_GenerateKeyPair', { ckr: CKR.GENERAL_ERROR, afterwards: true })
    await expectCode(backend.generateKey('rsa2048', { label: 'late' }), 'pkcs11_call_failed')
    expect(await keysLabelled('late')).toBe(0)
  })

  test('what the token refuses says which part to change', async () => {
    plantFault('C_GenerateKeyPair', { ckr: 0xd1 }, true)
    await expectCode(backend.generateKey('p256v1', { label: 'refused' }), 'template_refused')
  })

  test('Ed25519 parameters are tried in both forms', async () => {
    plantFault('C_GenerateKeyPair', { ckr: 0x130 })
    const ed = await backend.generateKey('ed25519', { label: 'ed:named' })
    expect(countCalls('C_GenerateKeyPair')).toBe(2)
    expect(await signAndVerify(ed)).toBe(true)
    expect((await backend.getKey(ed.uri)).keyType).toBe('ed25519')
  })

  test.each([
    ['p256v1', 2],
    ['p384', 2],
    ['p521', 3],
    ['ed25519', 2],
  ] as const)('a raw EC point of a %s key is read as well', async (keyType, header) => {
    const wrapped = await backend.generateKey(keyType, { label: `point:${keyType}` })
    plantFault('C_GetAttributeValue', { attribute: { type: 0x181, cut: header } }, true)
    const raw = await backend.getKey(wrapped.uri)
    expect(Buffer.from(raw.publicKey)).toEqual(Buffer.from(wrapped.publicKey))
  })
})

describe('a call that does not return', () => {
  test('the caller gets away in time, others go on, the session comes back', async () => {
    const hasty = await openPkcs11Backend(token.uri, {
      pkcs11js: faultyPkcs11,
      operationTimeoutMs: 300,
    })
    const same = await hasty.getKey(key.uri)
    await same.sign(new Uint8Array(4))
    plantFault('C_Sign', { hangMs: 1_200 })
    const error = await expectCode(same.sign(new Uint8Array(4)), 'operation_timeout')
    expect(error.message).toContain('300 ms')
    expect(await signMany(16)).toBe(true)
    await hasty.close()
  })

  test('the caller’s signal ends the wait, with its own reason', async () => {
    plantFault('C_Sign', { hangMs: 600 })
    const reason = new Error('no longer wanted')
    const controller = new AbortController()
    const pending = key.sign(new Uint8Array(4), undefined, { signal: controller.signal })
    setTimeout(() => {
      controller.abort(reason)
    }, 100)
    await expect(pending).rejects.toBe(reason)
    await expect(
      key.sign(new Uint8Array(4), undefined, { signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason)
  })

  test('a key that comes after its caller has left is destroyed', async () => {
    plantFault('C_GenerateKeyPair', { hangMs: 1_000 })
    const pending = backend.generateKey('p256v1', {
      label: 'too-late',
      signal: AbortSignal.timeout(500),
    })
    await expect(pending).rejects.toThrow(/aborted due to timeout/)
    await expect.poll(() => countCalls('C_DestroyObject'), { timeout: 10_000 }).toBe(2)
    expect(await keysLabelled('too-late')).toBe(0)
  })

  test('opening gives up as well', async () => {
    plantFault('C_GetMechanismList', { hangMs: 600 })
    const opening = openPkcs11Backend(token.uri, {
      pkcs11js: faultyPkcs11,
      operationTimeoutMs: 200,
    })
    await expectCode(opening, 'operation_timeout')
    expect(await signMany(2)).toBe(true)
  })
})
