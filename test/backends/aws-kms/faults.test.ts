import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openAwsKmsBackend } from '../../../backends/aws-kms/index.ts'
import type { ErrorCode } from '../../../src/errors.ts'
import type { DiagnosableBackend } from '../../../src/key/backend.ts'
import {
  startKmsEmulator,
  type KmsEmulator,
  type KmsErrorName,
  type KmsFault,
} from '../../../src/testing/kms-emulator/index.ts'
import {
  callKms,
  createJumpingClock,
  credentialsOf,
  failureOf,
  openOn,
  verifies,
  type JumpingClock,
} from './support.ts'

const message = Uint8Array.of(1, 2, 3)
const label = 'keystay:fault'

let emulator: KmsEmulator
let backend: DiagnosableBackend
let clock: JumpingClock

beforeEach(async () => {
  emulator = await startKmsEmulator()
  clock = createJumpingClock()
  backend = await openOn(emulator, { clock })
})

afterEach(async () => {
  await backend.close()
  await emulator.close()
})

const generate = () => backend.generateKey('p256v1', { label })
const answer = (name: KmsErrorName, afterWork = false): KmsFault => ({
  kind: 'error',
  name,
  afterWork,
})

describe('a lost answer to CreateKey', () => {
  test.each<[string, KmsFault]>([
    ['the connection drops after the work', { kind: 'drop', afterWork: true }],
    ['an internal error after the work', answer('KMSInternalException', true)],
    ['a dependency times out after the work', answer('DependencyTimeoutException', true)],
  ])('%s: the key is found by its tag, there is no second', async (_, fault) => {
    for (let index = 0; index < 20; index++) await callKms(emulator, 'CreateKey', {})
    emulator.resetCalls()
    emulator.inject('CreateKey', fault)
    const key = await generate()
    expect(emulator.calls()).toMatchObject({ CreateKey: 1, ListKeys: 1, DescribeKey: 1 })
    expect(emulator.keys()).toHaveLength(21)
    expect(verifies(key, 'ecdsa-sha256', message, await key.sign(message))).toBe(true)
    expect((await backend.findKey(label))?.uri).toBe(key.uri)
    expect((await key.attest()).claims).toMatchObject({ KeySpec: 'ECC_NIST_P256' })
  })

  test('and a key that is not yet listed: the search waits for it', async () => {
    await callKms(emulator, 'CreateKey', { Tags: [{ TagKey: 'not', TagValue: 'ours' }] })
    emulator.resetCalls()
    emulator.hideNewKeys(2)
    emulator.inject('CreateKey', { kind: 'drop', afterWork: true })
    const key = await generate()
    // The tags of the other key are read once only.
    expect(emulator.calls()).toMatchObject({ CreateKey: 1, ListKeys: 3, ListResourceTags: 2 })
    expect(emulator.keys().map(({ arn }) => key.uri.includes(arn))).toEqual([false, true])
    expect(clock.delays).toEqual([1000, 2000])
  })

  test('a time-out: the same', async () => {
    const impatient = await openOn(emulator, { clock, timeoutMs: 900 })
    emulator.inject('CreateKey', { kind: 'delay', ms: 5000 })
    const key = await impatient.generateKey('p256v1', { label })
    expect(emulator.calls()).toMatchObject({ CreateKey: 1 })
    expect(emulator.keys().map(({ arn }) => key.uri.includes(arn))).toEqual([true])
    await impatient.close()
  })

  test('the request was lost, not the answer: asked once more, after half a minute', async () => {
    emulator.inject('CreateKey', { kind: 'drop' })
    const key = await generate()
    expect(emulator.calls().CreateKey).toBe(2)
    expect(emulator.keys().map(({ arn }) => key.uri.includes(arn))).toEqual([true])
    expect(clock.delays).toEqual([1000, 2000, 4000, 8000, 15_000])
  })

  test('lost twice: says by which tags to look for a key', async () => {
    emulator.inject('CreateKey', { kind: 'drop' }, 2)
    const failure = await failureOf(generate())
    expect(failure.code).toBe('kms_creation_unclear')
    expect(failure.message).toContain(`keystay-label=${label}`)
    expect(failure.message).toMatch(/keystay-request-id=[0-9a-f-]{36}/)
    expect(emulator.calls().CreateKey).toBe(2)
  })

  test('and the search is not allowed: says so, and findKey finds it later', async () => {
    emulator.inject('CreateKey', { kind: 'drop', afterWork: true })
    emulator.inject('ListKeys', answer('AccessDeniedException'))
    const failure = await failureOf(generate())
    expect(failure.code).toBe('kms_creation_unclear')
    expect(failure.message).toContain('kms:ListKeys')
    expect((await backend.findKey(label))?.label).toBe(label)
  })

  test('with a client of the caller’s own, whose SDK retries: not retried either', async () => {
    const { KMSClient } = await import('@aws-sdk/client-kms')
    const client = new KMSClient({
      region: emulator.region,
      endpoint: emulator.endpoint,
      credentials: credentialsOf(emulator),
      maxAttempts: 5,
    })
    const own = await openAwsKmsBackend('awskms:', { client, clock })
    emulator.inject('CreateKey', { kind: 'drop', afterWork: true })
    await own.generateKey('p256v1', { label })
    await own.close()
    expect(emulator.calls().CreateKey).toBe(1)
    expect(emulator.keys()).toHaveLength(1)
    // Closing the backend leaves the caller's client alone.
    const { ListKeysCommand } = await import('@aws-sdk/client-kms')
    expect((await client.send(new ListKeysCommand())).Keys).toHaveLength(1)
    client.destroy()
  })
})

describe('a clear refusal of CreateKey', () => {
  test('the quota of keys is not retried and has its own code', async () => {
    const small = await startKmsEmulator({ maxKeys: 1 })
    const full = await openOn(small)
    await full.generateKey('p256v1', { label })
    const { code } = await failureOf(full.generateKey('p256v1', { label: 'keystay:two' }))
    expect(code).toBe('kms_key_quota_reached')
    expect(small.calls()).toEqual({ CreateKey: 2, GetPublicKey: 1 })
    await full.close()
    await small.close()
  })

  test('a type of key that the region lacks', async () => {
    emulator.inject('CreateKey', answer('UnsupportedOperationException'))
    const { code } = await failureOf(generate())
    expect(code).toBe('key_type_unsupported')
    expect(emulator.calls()).toEqual({ CreateKey: 1 })
  })

  test('a type of key that the service has never heard of', async () => {
    const old = await startKmsEmulator({ keySpecs: ['RSA_2048'] })
    const other = await openOn(old)
    expect((await failureOf(other.generateKey('ed25519', { label }))).code).toBe(
      'key_type_unsupported',
    )
    expect((await other.generateKey('rsa2048', { label })).keyType).toBe('rsa2048')
    await other.close()
    await old.close()
  })

  test('throttling is retried by the SDK', async () => {
    emulator.inject('CreateKey', answer('ThrottlingException'), 2)
    await generate()
    expect(emulator.calls()).toEqual({ CreateKey: 3, GetPublicKey: 1 })
    expect(emulator.keys()).toHaveLength(1)
  })

  test('denied: names the permissions', async () => {
    emulator.inject('CreateKey', answer('AccessDeniedException'))
    const failure = await failureOf(generate())
    expect(failure.code).toBe('kms_access_denied')
    expect(failure.message).toContain('kms:CreateKey')
    expect(failure.message).toContain('kms:TagResource')
    expect(emulator.calls()).toEqual({ CreateKey: 1 })
  })
})

describe('eventual consistency', () => {
  test('a new key that KMS does not know yet is asked for again', async () => {
    emulator.hideNewKeys(3)
    const key = await generate()
    expect(emulator.calls()).toEqual({ CreateKey: 1, GetPublicKey: 4 })
    expect(clock.delays).toEqual([250, 500, 1000])
    for (const name of [
      'NotFoundException',
      'KMSInvalidStateException',
      'AccessDeniedException',
    ] as const) {
      emulator.inject('Sign', answer(name), 2)
      expect(verifies(key, 'ecdsa-sha256', message, await key.sign(message))).toBe(true)
    }
  })

  test('for a minute at most, and the error says that the key exists', async () => {
    emulator.inject('GetPublicKey', answer('AccessDeniedException'), 1000)
    const failure = await failureOf(generate())
    expect(failure.code).toBe('kms_access_denied')
    expect(failure.message).toContain('kms:GetPublicKey')
    expect(failure.message).toContain(emulator.keys()[0]?.arn)
    const waited = clock.delays.reduce((sum, ms) => sum + ms, 0)
    expect(waited).toBeGreaterThan(40_000)
    expect(waited).toBeLessThanOrEqual(60_000)
  })

  test('an older key fails at once', async () => {
    const key = await generate()
    clock.advance(6 * 60_000)
    emulator.inject('Sign', answer('NotFoundException'))
    expect((await failureOf(key.sign(message))).code).toBe('key_not_found')
    emulator.inject('Sign', answer('AccessDeniedException'))
    expect((await failureOf(key.sign(message))).code).toBe('kms_access_denied')
    expect(clock.delays).toEqual([])
  })

  test('so does one from elsewhere that KMS says is old, or does not know', async () => {
    const { uri, publicKey } = await generate()
    clock.advance(6 * 60_000)
    const other = await openOn(emulator, { clock })
    for (const existing of [uri, 'awskms:key-id=00000000-0000-4000-8000-000000000000']) {
      const key = await other.getKey(existing, { publicKey })
      emulator.resetCalls()
      emulator.inject('Sign', answer('NotFoundException'))
      expect((await failureOf(key.sign(message))).code).toBe('key_not_found')
      expect(emulator.calls()).toEqual({ Sign: 1, DescribeKey: 1 })
    }
    expect(clock.delays).toEqual([])
    await other.close()
  })

  test('the age of a key from elsewhere is asked of KMS, once', async () => {
    const { uri, publicKey } = await generate()
    const other = await openOn(emulator, { clock })
    const key = await other.getKey(uri, { publicKey })
    emulator.resetCalls()
    emulator.inject('Sign', answer('NotFoundException'), 2)
    await key.sign(message)
    expect(emulator.calls()).toEqual({ Sign: 3, DescribeKey: 1 })
    clock.advance(6 * 60_000)
    emulator.inject('Sign', answer('NotFoundException'))
    expect((await failureOf(key.sign(message))).code).toBe('key_not_found')
    expect(emulator.calls()).toEqual({ Sign: 4, DescribeKey: 1 })
    await other.close()
  })
})

describe('errors of a call', () => {
  test.each<[KmsErrorName, ErrorCode, number]>([
    ['DisabledException', 'kms_key_disabled', 1],
    ['InvalidKeyUsageException', 'kms_key_unsuitable', 1],
    ['ExpiredTokenException', 'kms_credentials_expired', 1],
    ['UnrecognizedClientException', 'kms_credentials_invalid', 1],
    ['InvalidSignatureException', 'kms_credentials_invalid', 1],
    ['ValidationException', 'kms_request_rejected', 1],
    ['ThrottlingException', 'kms_throttled', 3],
    ['KMSInternalException', 'backend_unavailable', 3],
    ['KeyUnavailableException', 'backend_unavailable', 3],
  ])('%s is %s after %d calls', async (name, code, calls) => {
    const key = await generate()
    emulator.inject('Sign', answer(name), 10)
    expect((await failureOf(key.sign(message))).code).toBe(code)
    expect(emulator.calls().Sign).toBe(calls)
  })

  test('a passing drop or 5xx of Sign is retried by the SDK', async () => {
    const key = await generate()
    emulator.inject('Sign', { kind: 'drop', afterWork: true })
    emulator.inject('Sign', answer('DependencyTimeoutException'))
    expect(verifies(key, 'ecdsa-sha256', message, await key.sign(message))).toBe(true)
    expect(emulator.calls().Sign).toBe(3)
  })

  test('a key that is disabled, then enabled', async () => {
    const key = await generate()
    const KeyId = emulator.keys()[0]?.id
    await callKms(emulator, 'DisableKey', { KeyId })
    const failure = await failureOf(key.sign(message))
    expect(failure.code).toBe('kms_key_disabled')
    expect(failure.message).toContain('EnableKey')
    await callKms(emulator, 'EnableKey', { KeyId })
    await key.sign(message)
  })

  test('a key in another state: the state is named', async () => {
    const key = await generate()
    emulator.setKeyState(emulator.keys()[0]?.id ?? '', 'Unavailable')
    const failure = await failureOf(key.sign(message))
    expect(failure.code).toBe('kms_key_unavailable')
    expect(failure.message).toContain('Unavailable')
    expect(clock.delays).toEqual([])
  })

  test('no answer in time', async () => {
    const impatient = await openOn(emulator, { timeoutMs: 300 })
    const key = await impatient.generateKey('p256v1', { label })
    emulator.inject('Sign', { kind: 'delay', ms: 60_000 }, 5)
    const begin = Date.now()
    expect((await failureOf(key.sign(message))).code).toBe('kms_timeout')
    expect(Date.now() - begin).toBeLessThan(2000)
    await impatient.close()
  })

  test('nobody listens at the endpoint', async () => {
    await emulator.close()
    const failure = await failureOf(generate())
    expect(failure.code).toBe('kms_unreachable')
    expect(failure.message).toContain('ECONNREFUSED')
  })

  test('hold no credential, however deep one looks', async () => {
    const credentials = { ...credentialsOf(emulator), sessionToken: 'token-of-this-test' }
    const other = await openOn(emulator, { clock, credentials })
    for (const name of ['AccessDeniedException', 'KMSInternalException'] as const) {
      emulator.inject('CreateKey', answer(name), 10)
      emulator.inject('ListKeys', answer(name), 10)
      const { error } = await failureOf(other.generateKey('p256v1', { label }))
      const text = inspect(error, { depth: Infinity, showHidden: true }) + JSON.stringify(error)
      expect(text).not.toContain(credentials.sessionToken)
      expect(text).not.toContain(credentials.secretAccessKey)
      emulator.clearFaults()
    }
    await other.close()
  })
})

describe('quotas', () => {
  test('no more keys are asked for in a second than KMS creates', async () => {
    const labels = Array.from({ length: 8 }, (_, index) => `keystay:${index}`)
    await Promise.all(labels.map((each) => backend.generateKey('p256v1', { label: each })))
    expect(clock.delays).toEqual([1100])
    expect(emulator.keys()).toHaveLength(8)
  })

  test('an option slows down or speeds up', async () => {
    const slow = await openOn(emulator, { clock, callsPerSecond: { Sign: 2 } })
    const key = await slow.generateKey('p256v1', { label })
    for (let index = 0; index < 5; index++) await key.sign(message)
    expect(clock.delays).toEqual([1100, 1100])
    await slow.close()
  })

  test('a quota that others use up: the SDK tries again', async () => {
    const key = await generate()
    emulator.inject('Sign', answer('ThrottlingException'), 2)
    const signature = await key.sign(message)
    expect(verifies(key, 'ecdsa-sha256', message, signature)).toBe(true)
    expect(emulator.calls().Sign).toBe(3)
  })
})

describe('giving up', () => {
  test('an aborted signal ends a call, a wait, and what has not begun', async () => {
    const key = await generate()
    const reason = new Error('the caller has gone')
    await expect(key.sign(message, undefined, { signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    )
    expect(emulator.calls().Sign).toBeUndefined()

    emulator.inject('Sign', { kind: 'delay', ms: 60_000 })
    const during = new AbortController()
    setTimeout(() => {
      during.abort(reason)
    }, 50)
    await expect(key.sign(message, undefined, { signal: during.signal })).rejects.toBe(reason)

    const timely = await openOn(emulator)
    emulator.inject('GetPublicKey', answer('NotFoundException'), 1000)
    const waiting = new AbortController()
    setTimeout(() => {
      waiting.abort(reason)
    }, 400)
    await expect(
      timely.generateKey('p256v1', { label: 'keystay:gone', signal: waiting.signal }),
    ).rejects.toBe(reason)
    emulator.clearFaults()
    expect((await timely.findKey('keystay:gone'))?.label).toBe('keystay:gone')
    await timely.close()
  })
})

describe('close', () => {
  test('waits for calls under way, then refuses', async () => {
    const key = await generate()
    emulator.inject('Sign', { kind: 'delay', ms: 200 })
    let signature: Uint8Array = new Uint8Array()
    const signing = key.sign(message).then((value) => {
      signature = value
    })
    await backend.close()
    expect(verifies(key, 'ecdsa-sha256', message, signature)).toBe(true)
    await signing
    await backend.close()
    const listing = backend.listKeys()[Symbol.asyncIterator]()
    for (const call of [
      key.sign(message),
      key.attest(),
      generate(),
      backend.getKey(key.uri),
      backend.getKey(key.uri, { publicKey: key.publicKey }),
      backend.findKey(label),
      backend.destroyKey(key.uri),
      backend.capabilities(),
      listing.next(),
    ]) {
      expect((await failureOf(Promise.resolve(call))).code).toBe('backend_closed')
    }
  })

  test('ends waits between calls', async () => {
    const timely = await openOn(emulator)
    emulator.inject('GetPublicKey', answer('NotFoundException'), 1000)
    const generating = failureOf(timely.generateKey('p256v1', { label }))
    while (emulator.calls().GetPublicKey === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    const begin = Date.now()
    await timely.close()
    expect((await generating).code).toBe('backend_closed')
    expect(Date.now() - begin).toBeLessThan(1000)
  })
})
