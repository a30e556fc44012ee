import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createAttestation } from '../../../backends/pkcs11/attestation.ts'
import { createKeyTemplate, curveParameters } from '../../../backends/pkcs11/key-template.ts'
import { planSigning, readCapabilities } from '../../../backends/pkcs11/mechanisms.ts'
import type { Driver } from '../../../backends/pkcs11/driver.ts'
import type { KeyClaims, TokenInfo } from '../../../backends/pkcs11/operation-types.ts'
import { Operations } from '../../../backends/pkcs11/operations.ts'
import { keyTypeOf, readTokenPublicKey, unwrapPoint } from '../../../backends/pkcs11/public-key.ts'
import { recoveryFor, returnValueOf } from '../../../backends/pkcs11/return-values.ts'
import { formatKeyUri, parseKeyAddress } from '../../../backends/pkcs11/uri.ts'
import { KEY_TYPES } from '../../../src/csr/algorithms.ts'
import { expectCode } from './helpers.ts'

function offer(...mechanisms: number[]) {
  return new Map(
    mechanisms.map((mechanism) => [mechanism, { mechanism, minKeySize: 0, maxKeySize: 0 }]),
  )
}

test.each([
  ['before it', 2, 3],
  ['after it', 3, 2],
])('a search that finds nothing, logged out %s, is not believed', (_, before, after) => {
  // CK_STATE: 2 is a session of the public, 3 one of the user.
  let state = before
  const driver = {
    C_OpenSession: () => Buffer.alloc(8),
    C_GetSessionInfo: () => ({ state }),
    C_FindObjectsInit: () => undefined,
    C_FindObjects: () => {
      state = after
      return []
    },
    C_FindObjectsFinal: () => undefined,
  }
  const operations = new Operations(driver as unknown as Driver)
  operations.openSession(Buffer.alloc(8))
  let answer: unknown
  try {
    answer = operations.findPrivateKeys({ label: 'there' }, true)
  } catch (error) {
    answer = returnValueOf(error)
  }
  expect(answer, 'CKR_USER_NOT_LOGGED_IN').toBe(0x101)
})

describe('EC points', () => {
  test.each([
    ['p256v1', 65, [0x04, 65]],
    ['p384', 97, [0x04, 97]],
    ['p521', 133, [0x04, 0x81, 133]],
    ['ed25519', 32, [0x04, 32]],
  ] as const)('of %s are told apart by their length alone', (keyType, length, header) => {
    // Looks like an OCTET STRING at its beginning, and is none.
    const raw = Uint8Array.from({ length }, (_, index) => header[index] ?? 7)
    expect(unwrapPoint(keyType, raw)).toEqual(raw)
    expect(unwrapPoint(keyType, Uint8Array.of(...header, ...raw))).toEqual(raw)
  })

  test('of a wrong length or off the curve are refused', async () => {
    const key = { keyType: 3, ecParams: KEY_TYPES.p256v1.curveOid ?? new Uint8Array() }
    const short = { ...key, ecPoint: new Uint8Array(64) }
    await expectCode(readTokenPublicKey(short, 'it'), 'public_key_invalid')
    const off = { ...key, ecPoint: Uint8Array.of(4, ...new Uint8Array(64).fill(1)) }
    await expectCode(readTokenPublicKey(off, 'it'), 'public_key_invalid')
  })
})

test('key types are told by size, OID, or the name of Edwards25519', () => {
  expect(keyTypeOf({ keyType: 0, modulus: Uint8Array.of(0, 0x80, ...new Uint8Array(255)) })).toBe(
    'rsa2048',
  )
  expect(keyTypeOf({ keyType: 0, modulus: Uint8Array.of(0x7f, ...new Uint8Array(255)) })).toBe(
    undefined,
  )
  for (const ecParams of curveParameters('ed25519')) {
    expect(ecParams && keyTypeOf({ keyType: 0x40, ecParams })).toBe('ed25519')
  }
  expect(keyTypeOf({ keyType: 0x1f })).toBe(undefined)
})

describe('signing', () => {
  const message = new TextEncoder().encode('message')

  test('hashes here and cuts the digest to what the curve takes', () => {
    const digest = createHash('sha512').update(message).digest()
    const plan = planSigning('p256v1', 'ecdsa-sha512', offer(0x1041, 0x1046))
    expect(plan?.mechanism).toEqual({ mechanism: 0x1041 })
    expect(plan?.prepare(message)).toEqual(digest.subarray(0, 32))
    const wide = planSigning('p521', 'ecdsa-sha512', offer(0x1041))
    expect(wide?.prepare(message)).toEqual(digest)
  })

  test('puts a DigestInfo around the digest of PKCS#1 v1.5', () => {
    const plan = planSigning('rsa2048', 'rsa-pkcs1-sha256', offer(0x1, 0x40))
    const digest = createHash('sha256').update(message).digest('hex')
    expect(Buffer.from(plan?.prepare(message) ?? []).toString('hex')).toBe(
      `3031300d060960864801650304020105000420${digest}`,
    )
  })

  test.each([
    ['rsa2048', 'rsa-pkcs1-sha384', 0x41],
    ['rsa2048', 'rsa-pss-sha512', 0x45],
    ['p384', 'ecdsa-sha256', 0x1044],
  ] as const)(
    'of %s by %s falls back to the hashing mechanism',
    (keyType, algorithm, mechanism) => {
      const plan = planSigning(keyType, algorithm, offer(mechanism))
      expect(plan?.mechanism.mechanism).toBe(mechanism)
      expect(plan?.prepare(message)).toEqual(message)
      expect(planSigning(keyType, algorithm, offer())).toBe(undefined)
    },
  )

  test('by PSS names hash, mask and a salt as long as the hash', () => {
    const plan = planSigning('rsa2048', 'rsa-pss-sha384', offer(0xd))
    expect(plan?.mechanism).toEqual({
      mechanism: 0xd,
      parameter: { type: 5, hashAlg: 0x260, mgf: 3, saltLen: 48 },
    })
  })

  test('refuses a raw ECDSA signature of another width', () => {
    const plan = planSigning('p256v1', 'ecdsa-sha256', offer(0x1041))
    expect(() => plan?.finish(new Uint8Array(63))).toThrow(/64 bytes/)
  })
})

test('capabilities follow the mechanisms and their key sizes', () => {
  const offered = offer(0x1, 0x1041)
  offered.set(0x0, { mechanism: 0x0, minKeySize: 1024, maxKeySize: 3072 })
  offered.set(0x1040, { mechanism: 0x1040, minKeySize: 256, maxKeySize: 384 })
  const { keyTypes, signatureAlgorithms } = readCapabilities(offered)
  expect(keyTypes).toEqual(['rsa2048', 'rsa3072', 'p256v1', 'p384'])
  const rsa = ['rsa-pkcs1-sha256', 'rsa-pkcs1-sha384', 'rsa-pkcs1-sha512']
  expect(signatureAlgorithms).toEqual({
    ...{ rsa2048: rsa, rsa3072: rsa },
    p256v1: ['ecdsa-sha256', 'ecdsa-sha384', 'ecdsa-sha512'],
    p384: ['ecdsa-sha384', 'ecdsa-sha256', 'ecdsa-sha512'],
  })
})

test('a template says explicitly what must not be left to the token', () => {
  const names = { id: new Uint8Array(16), label: 'l' }
  const { privateKey, publicKey } = createKeyTemplate('rsa3072', undefined, names, 'generic')
  const values = Object.fromEntries(privateKey.map(({ type, value }) => [type, value]))
  expect(values).toMatchObject({ 0x1: true, 0x2: true, 0x103: true, 0x162: false, 0x108: true })
  const isTrue = publicKey.filter(({ value }) => value === true).map(({ type }) => type)
  expect(isTrue, 'CKA_TOKEN and CKA_VERIFY').toEqual([0x1, 0x10a])
})

describe('attestation', () => {
  const good: KeyClaims = {
    CKA_SENSITIVE: true,
    CKA_EXTRACTABLE: false,
    CKA_ALWAYS_SENSITIVE: true,
    CKA_NEVER_EXTRACTABLE: true,
    CKA_LOCAL: true,
    CKA_KEY_GEN_MECHANISM: 0x1040,
  }
  const hardware = { manufacturer: 'Maker', model: 'HSM 1', serial: '1' } as TokenInfo
  const nss = { ...hardware, manufacturer: 'Mozilla Foundation', model: 'NSS 3' }
  const concerns = (claims: Partial<KeyClaims>, token = hardware) =>
    createAttestation({ ...good, ...claims }, token).concerns

  test('has no concerns where all is as it should be', () => {
    expect(createAttestation(good, hardware)).toMatchObject({
      level: 'claimed-by-token',
      concerns: [],
    })
  })

  test.each([
    [{ CKA_EXTRACTABLE: true }, 'may leave'],
    [{ CKA_SENSITIVE: false }, 'in plain'],
    [{ CKA_ALWAYS_SENSITIVE: false }, 'was readable'],
    [{ CKA_NEVER_EXTRACTABLE: false }, 'was extractable'],
    [{ CKA_LOCAL: false }, 'not generated in the token'],
    [{ CKA_KEY_GEN_MECHANISM: 0x250 }, 'CKM_SHA256'],
    [{ CKA_LOCAL: null }, 'does not say CKA_LOCAL'],
  ])('of %o has a concern', (claims, concern) => {
    expect(concerns(claims)).toEqual([expect.stringContaining(concern)])
  })

  test('takes CKA_LOCAL of NSS for unknown, and calls it software', () => {
    expect(concerns({ CKA_LOCAL: false }, nss)).toEqual([
      expect.stringContaining('software token'),
      expect.stringContaining('not known'),
    ])
  })
})

test('return values are read from every form of error', () => {
  expect(returnValueOf(Object.assign(new Error('CKR_X'), { name: 'Pkcs11Error', code: 164 }))).toBe(
    164,
  )
  expect(returnValueOf(new Error('CKR_VENDOR_DEFINED:2147483649'))).toBe(0x8000_0001)
  expect(returnValueOf(new Error('PKCS11 module not loaded yet'))).toBe(undefined)
  expect(returnValueOf(Object.assign(new Error('ENOENT'), { code: 2 }))).toBe(undefined)
  expect(recoveryFor(new Error('CKR_X:5'), false)).toBe(undefined)
  expect(recoveryFor(new Error('CKR_X:5'), true)).toBe('device')
})

test('key URIs survive any label and any id', () => {
  const identity = { label: 'a b;c=d?e/ü%', serial: '0&1' }
  const uri = formatKeyUri(identity, Uint8Array.of(0, 0x0a, 0x25, 0xff), 'keystay:x/+@=')
  expect(parseKeyAddress(uri)).toMatchObject({
    token: identity.label,
    serial: identity.serial,
    id: '000a25ff',
    object: 'keystay:x/+@=',
  })
})
