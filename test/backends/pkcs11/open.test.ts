import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { diagnosePkcs11, openPkcs11Backend } from '../../../backends/pkcs11/index.ts'
import { isDiagnosable } from '../../../src/key/backend.ts'
import { createSoftHsmToken, type SoftHsmToken } from '../../../src/testing/softhsm.ts'
import { clearFaults, countCalls, disposeFaults, faultyPkcs11, plantFault } from './faults.ts'
import { collect, expectCode } from './helpers.ts'

let token: SoftHsmToken
let second: SoftHsmToken
let directory: string
const options = { pkcs11js: faultyPkcs11 }

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keystay-open-'))
  token = await createSoftHsmToken({ label: 'one label; for=two' })
  second = await createSoftHsmToken({ label: 'another' })
})

afterEach(() => {
  clearFaults()
})

afterAll(async () => {
  await token.dispose()
  await second.dispose()
  await rm(directory, { recursive: true })
  disposeFaults()
})

function withPath(path: string, uri = token.uri): string {
  return uri.replace(/^pkcs11:[^?]*/, `pkcs11:${path}`)
}

describe('the token', () => {
  test('is found by label, by serial, by maker, through any path to the module', async () => {
    const first = await openPkcs11Backend(token.uri, options)
    const serial = /serial=([^;]*)/.exec(first.uri)?.[1] ?? ''
    const link = join(directory, 'module.so')
    await symlink(token.modulePath, link)
    for (const uri of [
      withPath(`serial=${serial}`),
      withPath(`serial=${serial};manufacturer=SoftHSM%20project;model=SoftHSM%20v2`),
      token.uri.replace(token.modulePath, link),
    ]) {
      const same = await openPkcs11Backend(uri, options)
      expect(same.uri).toBe(first.uri)
      await same.close()
    }
    await first.close()
  })

  test('that is not there is named beside those that are', async () => {
    const error = await expectCode(
      openPkcs11Backend(withPath('token=absent'), options),
      'token_not_found',
    )
    expect(error.message).toContain('token=one%20label%3B%20for%3Dtwo;serial=')
    expect(error.message).toContain('token=another;serial=')
    await expectCode(openPkcs11Backend(withPath('slot-id=1'), options), 'token_not_found')
  })

  test('that is not named is asked for when there are several', async () => {
    await expectCode(openPkcs11Backend(withPath(''), options), 'token_ambiguous')
  })

  test('that was never initialised is not used', async () => {
    await expectCode(openPkcs11Backend(withPath('token='), options), 'token_uninitialized')
  })

  test('that lacks what is needed says what it can', async () => {
    const EDDSA = 0x1057
    plantFault('C_GetMechanismList', { without: [EDDSA, 0x40, 0x41, 0x42, 0x1] }, true)
    const backend = await openPkcs11Backend(token.uri, options)
    const { keyTypes, signatureAlgorithms } = await backend.capabilities()
    expect(keyTypes).not.toContain('ed25519')
    expect(signatureAlgorithms.rsa2048).not.toContain('rsa-pkcs1-sha256')
    expect(signatureAlgorithms.rsa2048).toContain('rsa-pss-sha256')
    await expectCode(backend.generateKey('ed25519', { label: 'x' }), 'key_type_unsupported')
    const key = await backend.generateKey('rsa2048', { label: 'pss-only' })
    await expectCode(key.sign(new Uint8Array(1)), 'signature_algorithm_unsupported')
    await backend.close()
  })
})

test.each([
  ['pkcs12:token=x', 'uri_scheme_unknown'],
  ['pkcs11:token=x', 'uri_invalid'],
  ['pkcs11:token=x?module-path=libsofthsm2.so', 'uri_invalid'],
  ['pkcs11:tokn=x?module-path=/m', 'uri_attribute_unknown'],
  ['pkcs11:token=x;id=a?module-path=/m', 'uri_attribute_unknown'],
  ['pkcs11:token=x?module-path=/m&pin=1', 'uri_attribute_unknown'],
  ['pkcs11:token=x;token=y?module-path=/m', 'uri_attribute_repeated'],
  ['pkcs11:slot-id=one?module-path=/m', 'uri_invalid'],
  ['pkcs11:token=x?module-path=/m&max-sessions=0', 'uri_invalid'],
  ['pkcs11:token=x?module-path=/m&max-sessions=65', 'uri_invalid'],
  ['pkcs11:token=x?module-path=/m&profile=luna', 'uri_invalid'],
  ['pkcs11:token=%zz?module-path=/m', 'uri_invalid'],
  ['pkcs11:token=x?module-path=/absent/module.so', 'pkcs11_module_not_found'],
  ['pkcs11:token=x?module-path=/etc/hostname', 'pkcs11_module_invalid'],
  ['pkcs11:token=x?module-path=/etc', 'pkcs11_module_invalid'],
  ['pkcs11:token=x?module-path=/m&pin-value=1', 'pin_value_refused'],
] as const)('%s is refused', async (uri, code) => {
  await expectCode(openPkcs11Backend(uri), code)
})

test('a library that is none of PKCS#11 is refused', async () => {
  const path = join(directory, 'empty.so')
  await writeFile(path, '')
  await expectCode(openPkcs11Backend(`pkcs11:token=x?module-path=${path}`), 'pkcs11_module_invalid')
})

test('options that cannot be meant are the programmer’s mistake', async () => {
  for (const wrong of [{ profile: 'nitro' }, { maxSessions: 0 }, { pkcs11js: {} }]) {
    await expect(openPkcs11Backend(token.uri, wrong as object)).rejects.toThrow(TypeError)
  }
})

describe('the diagnosis', () => {
  test('goes through every step', async () => {
    const steps = await collect(diagnosePkcs11(token.uri, options))
    expect(steps.map(({ name, status }) => `${name}: ${status}`)).toEqual([
      'URI: ok',
      'driver: ok',
      'module: ok',
      'token: ok',
      'PIN state: ok',
      'PIN source: ok',
      'login: ok',
      'mechanisms: ok',
      'sessions: ok',
    ])
    const backend = await openPkcs11Backend(token.uri, options)
    expect(isDiagnosable(backend)).toBe(true)
    expect(await collect(backend.diagnose())).toHaveLength(9)
    await backend.close()
  })

  test.each([
    ['pkcs11:token=x?module-path=/absent.so', 'module', 'the vendor of the token installs'],
    ['pkcs11:token=x', 'URI', 'must be the absolute path'],
  ])('of %s stops at %s and says what would be right', async (uri, name, remedy) => {
    const steps = await collect(diagnosePkcs11(uri, options))
    const at = steps.findIndex(({ status }) => status === 'failed')
    expect(steps[at]?.name).toBe(name)
    expect(`${steps[at]?.detail ?? ''}${steps[at]?.remedy ?? ''}`).toContain(remedy)
    expect(steps.slice(at + 1).every(({ status }) => status === 'skipped')).toBe(true)
    expect(steps).toHaveLength(9)
  })

  test('that is not listened to to its end gives the token back', async () => {
    for await (const { name } of diagnosePkcs11(token.uri, options)) if (name === 'login') break
    await expect.poll(() => countCalls('C_CloseSession')).toBe(1)
  })

  test('does not end before a device that hangs', async () => {
    plantFault('C_Login', { hangMs: 1_000 })
    const steps = await collect(diagnosePkcs11(token.uri, { ...options, operationTimeoutMs: 300 }))
    expect(steps.find(({ status }) => status === 'failed')).toMatchObject({ name: 'login' })
  })
})
