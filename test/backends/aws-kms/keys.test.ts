import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  chooseSigningAlgorithm,
  keySpecOf,
  keyTypeOf,
} from '../../../backends/aws-kms/algorithms.ts'
import {
  KEY_TYPE_NAMES,
  KEY_TYPES,
  SIGNATURE_ALGORITHM_NAMES,
  type KeyType,
} from '../../../src/csr/algorithms.ts'
import type { BackendKey, DiagnosableBackend } from '../../../src/key/backend.ts'
import { startKmsEmulator, type KmsEmulator } from '../../../src/testing/kms-emulator/index.ts'
import { failureOf, openOn, verifies } from './support.ts'

const message = new TextEncoder().encode('a certification request')
const longMessage = new Uint8Array(4097).fill(0x30)

let emulator: KmsEmulator
let backend: DiagnosableBackend

beforeAll(async () => {
  emulator = await startKmsEmulator()
  backend = await openOn(emulator)
})

afterAll(async () => {
  await backend.close()
  await emulator.close()
})

describe.each(KEY_TYPE_NAMES)('%s', (keyType) => {
  let key: BackendKey

  test('is created and signs in three calls', async () => {
    emulator.resetCalls()
    key = await backend.generateKey(keyType, { label: `keystay:${keyType}` })
    const signature = await key.sign(message)
    expect(emulator.calls()).toEqual({ CreateKey: 1, GetPublicKey: 1, Sign: 1 })
    expect(verifies(key, KEY_TYPES[keyType].signatureAlgorithms[0], message, signature)).toBe(true)
    expect(key).toMatchObject({ keyType, label: `keystay:${keyType}` })
  })

  test('signs in one call when its public key is stored', async () => {
    emulator.resetCalls()
    const stored = await backend.getKey(key.uri, { publicKey: key.publicKey })
    expect(emulator.calls()).toEqual({})
    expect(stored).toMatchObject({ uri: key.uri, keyType, publicKey: key.publicKey })
    const signature = await stored.sign(message)
    expect(emulator.calls()).toEqual({ Sign: 1 })
    expect(verifies(key, KEY_TYPES[keyType].signatureAlgorithms[0], message, signature)).toBe(true)
  })

  test('signs with each algorithm that KMS permits, up to 4,096 bytes and beyond', async () => {
    for (const algorithm of permitted(keyType)) {
      for (const bytes of [message, longMessage.subarray(1), longMessage]) {
        if (algorithm === 'ed25519' && bytes.length > 4096) continue
        const signature = await key.sign(bytes, algorithm)
        expect(verifies(key, algorithm, bytes, signature), algorithm).toBe(true)
        expect(verifies(key, algorithm, Uint8Array.of(1), signature), algorithm).toBe(false)
      }
    }
  })

  test('says which algorithms it does not sign with', async () => {
    emulator.resetCalls()
    for (const algorithm of SIGNATURE_ALGORITHM_NAMES) {
      if (permitted(keyType).includes(algorithm)) continue
      const { code } = await failureOf(key.sign(message, algorithm))
      expect(code, algorithm).toBe(
        KEY_TYPES[keyType].signatureAlgorithms.includes(algorithm)
          ? 'signature_algorithm_unsupported'
          : 'signature_algorithm_mismatch',
      )
    }
    expect(emulator.calls()).toEqual({})
  })
})

function permitted(keyType: KeyType) {
  return KEY_TYPES[keyType].signatureAlgorithms.filter((algorithm) => {
    try {
      return chooseSigningAlgorithm(keyType, algorithm).algorithm === algorithm
    } catch {
      return false
    }
  })
}

test('each NIST curve signs with its own hash only, RSA with all', () => {
  expect(KEY_TYPE_NAMES.map((keyType) => permitted(keyType).length)).toEqual([6, 6, 6, 1, 1, 1, 1])
  expect(permitted('p384')).toEqual(['ecdsa-sha384'])
})

test('an Ed25519 message is never hashed here, so it is at most 4,096 bytes', async () => {
  const key = await backend.generateKey('ed25519', { label: 'keystay:long' })
  emulator.resetCalls()
  const { code, message } = await failureOf(key.sign(longMessage))
  expect(code).toBe('message_too_long')
  expect(message).toContain('4097')
  expect(emulator.calls()).toEqual({})
})

test('a key is created with the tags that identify it, in the same call', async () => {
  const tagged = await openOn(emulator, { tags: { team: 'edge' } })
  const key = await tagged.generateKey('p256v1', { label: 'keystay:tagged' })
  await tagged.close()
  const created = emulator.keys().find(({ arn }) => key.uri.includes(arn))
  expect(Object.fromEntries(created?.tags ?? [])).toEqual({
    'created-by': 'keystay',
    'keystay-label': 'keystay:tagged',
    'keystay-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    team: 'edge',
  })
})

test('bad input is refused before any call', async () => {
  emulator.resetCalls()
  const generate = (keyType: string, options: { label: string }) =>
    backend.generateKey(keyType as KeyType, options)
  expect((await failureOf(generate('p224', { label: 'a' }))).code).toBe('key_type_unknown')
  expect((await failureOf(generate('p256v1', { label: 'a b' }))).code).toBe('label_invalid')
  expect((await failureOf(generate('toString', { label: 'a' }))).code).toBe('key_type_unknown')
  expect(emulator.calls()).toEqual({})
})

test('the attestation repeats what KMS said at creation, without another call', async () => {
  const key = await backend.generateKey('p256v1', { label: 'keystay:attested' })
  emulator.resetCalls()
  const attestation = await key.attest()
  expect(emulator.calls()).toEqual({})
  expect(attestation).toMatchObject({
    level: 'claimed-by-token',
    backend: 'awskms',
    claims: {
      Origin: 'AWS_KMS',
      KeyManager: 'CUSTOMER',
      KeySpec: 'ECC_NIST_P256',
      KeyUsage: 'SIGN_VERIFY',
      KeyState: 'Enabled',
      CustomKeyStoreId: null,
      MultiRegion: false,
    },
    concerns: [expect.stringContaining('127.0.0.1') as string],
  })
  const stored = await backend.getKey(key.uri, { publicKey: key.publicKey })
  expect((await stored.attest()).claims).toEqual(attestation.claims)
  expect(emulator.calls()).toEqual({ DescribeKey: 1 })
})

test('key types and specs are named both ways', () => {
  for (const keyType of KEY_TYPE_NAMES) expect(keyTypeOf(keySpecOf(keyType))).toBe(keyType)
  expect(keyTypeOf('ECC_SECG_P256K1')).toBeUndefined()
})
