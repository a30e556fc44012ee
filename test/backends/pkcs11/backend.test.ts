import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPkcs11Backend } from '../../../backends/pkcs11/index.ts'
import { KEY_TYPES, KEY_TYPE_NAMES } from '../../../src/csr/algorithms.ts'
import type { KeyBackend, KeyListing } from '../../../src/key/backend.ts'
import { createSoftHsmToken, type SoftHsmToken } from '../../../src/testing/softhsm.ts'
import {
  collect,
  expectCode,
  openBareDriver,
  pkcs11Tool,
  readPin,
  signAndVerify,
} from './helpers.ts'

let token: SoftHsmToken
let backend: KeyBackend

beforeAll(async () => {
  token = await createSoftHsmToken()
  backend = await openPkcs11Backend(token.uri)
})

afterAll(async () => {
  await backend.close()
  await token.dispose()
})

async function list(labelPrefix?: string): Promise<KeyListing[]> {
  return collect(backend.listKeys({ labelPrefix }))
}

describe('every key type', () => {
  test.each(KEY_TYPE_NAMES)('%s signs by each of its algorithms', async (keyType) => {
    const key = await backend.generateKey(keyType, { label: `all:${keyType}` })
    for (const algorithm of KEY_TYPES[keyType].signatureAlgorithms) {
      expect(await signAndVerify(key, algorithm), algorithm).toBe(true)
    }
    const again = await backend.getKey(key.uri)
    expect(again).toMatchObject({ uri: key.uri, label: key.label, keyType })
    expect(Buffer.from(again.publicKey)).toEqual(Buffer.from(key.publicKey))
  })

  test('the token shows the private keys as sensitive, never extractable, local', async () => {
    const shown = await pkcs11Tool(token, '--list-objects', '--type', 'privkey')
    const access = shown.match(/Access:.*/g) ?? []
    expect(access).toHaveLength(KEY_TYPE_NAMES.length)
    for (const line of access) {
      expect(line).toContain('sensitive, always sensitive, never extractable, local')
    }
  })

  test('the token says so when asked, and that it is software', async () => {
    const key = await backend.findKey('all:p256v1')
    const attestation = await key?.attest()
    expect(attestation).toMatchObject({
      level: 'claimed-by-token',
      backend: 'pkcs11',
      claims: {
        CKA_SENSITIVE: true,
        CKA_EXTRACTABLE: false,
        CKA_ALWAYS_SENSITIVE: true,
        CKA_NEVER_EXTRACTABLE: true,
        CKA_LOCAL: true,
        CKA_KEY_GEN_MECHANISM: 'CKM_EC_KEY_PAIR_GEN',
        'token manufacturer': 'SoftHSM project',
      },
    })
    expect(attestation?.concerns).toEqual([expect.stringContaining('SoftHSM is a software token')])
  })
})

test('a key URI names token, CKA_ID and label, and nothing secret', async () => {
  const key = await backend.generateKey('p256v1', { label: 'uri:a/b' })
  expect(key.uri).toMatch(
    new RegExp(
      `^pkcs11:token=${token.label};serial=[0-9a-f]{16};id=(%[0-9a-f]{2}){16};object=uri%3Aa%2Fb;type=private$`,
    ),
  )
  const id = key.uri.match(/id=([^;]*)/)?.[1]?.replaceAll('%', '') ?? ''
  const shown = await pkcs11Tool(token, '--list-objects', '--id', id)
  expect(shown.match(/label: +uri:a\/b/g)).toHaveLength(2)
})

test('a key is found by its label, by part of its URI and in the listing', async () => {
  const key = await backend.generateKey('p384', { label: 'find:one' })
  expect((await backend.findKey('find:one'))?.uri).toBe(key.uri)
  expect((await backend.getKey('pkcs11:object=find%3Aone;type=private')).uri).toBe(key.uri)
  expect(await backend.findKey('find:none')).toBeUndefined()
  expect(await list('find:')).toEqual([
    { uri: key.uri, label: 'find:one', keyType: 'p384', state: 'usable', createdAt: undefined },
  ])
})

test('a listing shows keys that keystay does not create, and does not open them', async () => {
  await pkcs11Tool(
    token,
    '--keypairgen',
    '--key-type',
    'EC:secp256k1',
    '--label',
    'foreign',
    '--id',
    '77',
  )
  const [listed] = await list('foreign')
  expect(listed).toMatchObject({ label: 'foreign', keyType: undefined })
  await expectCode(backend.getKey(listed?.uri ?? ''), 'public_key_unsupported')
  await backend.destroyKey(listed?.uri ?? '')
})

test('a label is given once', async () => {
  await backend.generateKey('p256v1', { label: 'once' })
  await expectCode(backend.generateKey('p256v1', { label: 'once' }), 'label_taken')
  const both = await Promise.allSettled([
    backend.generateKey('p256v1', { label: 'race' }),
    backend.generateKey('p256v1', { label: 'race' }),
  ])
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(await list('race')).toHaveLength(1)
})

test('destroying ends both halves, and a second time finds none', async () => {
  const key = await backend.generateKey('p256v1', { label: 'gone' })
  expect(await backend.destroyKey(key.uri)).toEqual({ state: 'destroyed' })
  expect(await pkcs11Tool(token, '--list-objects')).not.toContain('gone')
  await expectCode(backend.destroyKey(key.uri), 'key_not_found')
  await expectCode(backend.getKey(key.uri), 'key_not_found')
  await expectCode(key.sign(new Uint8Array(1)), 'key_not_found')
  expect(await backend.findKey('gone')).toBeUndefined()
})

describe('a half is missing', () => {
  async function removeHalf(label: string, objectClass: number): Promise<void> {
    const { driver, slot } = openBareDriver(token)
    const session = driver.C_OpenSession(slot, 6)
    driver.C_FindObjectsInit(session, [
      { type: 0, value: objectClass },
      { type: 3, value: label },
    ])
    for (const object of driver.C_FindObjects(session, 2)) driver.C_DestroyObject(session, object)
    driver.C_FindObjectsFinal(session)
    driver.C_CloseSession(session)
  }

  test('an RSA key gives its public key from the private half', async () => {
    const key = await backend.generateKey('rsa2048', { label: 'half:rsa' })
    await removeHalf('half:rsa', 2)
    const again = await backend.getKey(key.uri)
    expect(Buffer.from(again.publicKey)).toEqual(Buffer.from(key.publicKey))
    expect(await backend.destroyKey(key.uri)).toEqual({ state: 'destroyed' })
  })

  test('an EC key needs the public key that was stored', async () => {
    const key = await backend.generateKey('p256v1', { label: 'half:ec' })
    await removeHalf('half:ec', 2)
    await expectCode(backend.getKey(key.uri), 'public_key_unreadable')
    const again = await backend.getKey(key.uri, { publicKey: key.publicKey })
    expect(await signAndVerify(again)).toBe(true)
    expect(await backend.destroyKey(key.uri)).toEqual({ state: 'destroyed' })
  })

  test('a public half that a crash left behind is destroyed', async () => {
    const key = await backend.generateKey('p256v1', { label: 'half:public' })
    await removeHalf('half:public', 3)
    await expectCode(backend.getKey(key.uri), 'key_not_found')
    expect(await backend.destroyKey(key.uri)).toEqual({ state: 'destroyed' })
    expect(await pkcs11Tool(token, '--list-objects')).not.toContain('half:public')
  })
})

test('two private keys under one CKA_ID or label are not guessed between', async () => {
  const { driver, slot } = openBareDriver(token)
  const session = driver.C_OpenSession(slot, 6)
  const id = Buffer.alloc(16, 7)
  for (let index = 0; index < 2; index++) {
    const names = [
      { type: 0x001, value: true },
      { type: 0x102, value: id },
      { type: 0x003, value: 'twin' },
    ]
    const curve = { type: 0x180, value: Buffer.from('06082a8648ce3d030107', 'hex') }
    driver.C_GenerateKeyPair(
      session,
      { mechanism: 0x1040 },
      [...names, curve],
      [...names, { type: 0x108, value: true }],
    )
  }
  driver.C_CloseSession(session)
  const [twin] = await list('twin')
  await expectCode(backend.getKey(twin?.uri ?? ''), 'key_ambiguous')
  await expectCode(backend.findKey('twin'), 'key_ambiguous')
  await expectCode(backend.destroyKey(twin?.uri ?? ''), 'key_ambiguous')
  expect(await list('twin')).toHaveLength(2)
})

test('what keys are not of this token, or not well named, is refused', async () => {
  await expectCode(backend.getKey('pkcs11:token=other;id=%01'), 'key_uri_foreign')
  await expectCode(backend.getKey('awskms:key-id=x'), 'key_uri_foreign')
  await expectCode(backend.getKey('pkcs11:id=%01?pin-value=1234'), 'uri_invalid')
  await expectCode(backend.getKey('pkcs11:token=x'), 'uri_invalid')
  await expectCode(backend.getKey('pkcs11:id=%01;type=public'), 'uri_invalid')
  await expectCode(backend.generateKey('p256v1', { label: 'ä' }), 'label_invalid')
  await expectCode(backend.generateKey('p257' as 'p256v1', { label: 'x' }), 'key_type_unknown')
  const key = await backend.findKey('all:p256v1')
  await expectCode(
    key?.sign(new Uint8Array(1), 'ed25519') ?? Promise.resolve(),
    'signature_algorithm_mismatch',
  )
})

test('a template hook sees and changes what the token gets; exportable keys are not kept', async () => {
  const seen: number[] = []
  const other = await openPkcs11Backend(token.uri, {
    profile: 'cloudhsm',
    template: (template) => {
      seen.push(...template.publicKey.filter(({ value }) => value === true).map(({ type }) => type))
      return {
        ...template,
        privateKey: template.privateKey.map((attribute) =>
          attribute.type === 0x162 ? { ...attribute, value: true } : attribute,
        ),
      }
    },
  })
  await expectCode(other.generateKey('p256v1', { label: 'weak' }), 'key_exportable')
  expect(seen, 'CKA_PRIVATE of the public half').toContain(2)
  expect(await pkcs11Tool(token, '--list-objects')).not.toContain('weak')
  await other.close()
})

test('after close every method says so, and close can be repeated', async () => {
  const other = await openPkcs11Backend(token.uri)
  const key = await other.generateKey('p256v1', { label: 'closing' })
  const pending = key.sign(new Uint8Array(3))
  await Promise.all([other.close(), other.close()])
  expect((await pending).length).toBeGreaterThan(60)
  await expectCode(key.sign(new Uint8Array(3)), 'backend_closed')
  await expectCode(other.getKey(key.uri), 'backend_closed')
  await expectCode(other.capabilities(), 'backend_closed')
  await expectCode(collect(other.listKeys()), 'backend_closed')
  expect(await signAndVerify(await backend.getKey(key.uri))).toBe(true)
})

test('the PIN is in nothing that the backend shows', async () => {
  const wrong = token.uri.replace(/token=[^?]*/, 'token=absent')
  const error = await expectCode(openPkcs11Backend(wrong), 'token_not_found')
  const [listed] = await list('once')
  const shown = JSON.stringify([backend, listed, error.message, error.stack, backend.uri])
  expect(shown).not.toContain(readPin(token))
})
