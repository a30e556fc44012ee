import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  CreateAliasCommand,
  CreateKeyCommand,
  GetPublicKeyCommand,
  KMSClient,
  ListAliasesCommand,
  ListKeysCommand,
  ListResourceTagsCommand,
  SignCommand,
  TagResourceCommand,
  type CreateKeyCommandInput,
  type KeySpec,
  type SigningAlgorithmSpec,
} from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startKmsEmulator, type KmsEmulator } from '../../src/testing/kms-emulator/index.ts'

const run = promisify(execFile)
const message = Buffer.from('signed by the emulator, verified by OpenSSL')

let emulator: KmsEmulator
let client: KMSClient
let directory: string

beforeAll(async () => {
  emulator = await startKmsEmulator({ pageSize: 2 })
  client = new KMSClient({
    region: emulator.region,
    endpoint: emulator.endpoint,
    credentials: {
      accessKeyId: emulator.env.AWS_ACCESS_KEY_ID ?? '',
      secretAccessKey: emulator.env.AWS_SECRET_ACCESS_KEY ?? '',
    },
  })
  directory = await mkdtemp(join(tmpdir(), 'keystay-emulator-'))
})

afterAll(async () => {
  client.destroy()
  await emulator.close()
  await rm(directory, { recursive: true })
})

async function createKey(input: CreateKeyCommandInput): Promise<string> {
  const { KeyMetadata } = await client.send(new CreateKeyCommand(input))
  return KeyMetadata?.KeyId ?? ''
}

/** Name of the error with which a call is refused. */
async function refusal(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'accepted',
    (error: unknown) => (error as Error).name,
  )
}

/** What `openssl` must be told to verify an algorithm's signatures. */
const OPENSSL: Readonly<Record<string, (hash: string) => string[]>> = {
  RSASSA_PKCS1_V1_5: (hash) => ['-pkeyopt', `digest:${hash}`],
  RSASSA_PSS: (hash) => [
    ...['-pkeyopt', `digest:${hash}`, '-pkeyopt', 'rsa_padding_mode:pss'],
    // -1: the salt must be as long as the hash.
    ...['-pkeyopt', 'rsa_pss_saltlen:-1', '-pkeyopt', `rsa_mgf1_md:${hash}`],
  ],
  ECDSA: (hash) => ['-pkeyopt', `digest:${hash}`],
}

describe('signatures that OpenSSL accepts', () => {
  const algorithms = (prefix: string, bits: number[]) => bits.map((size) => `${prefix}_SHA_${size}`)
  const rsa = [
    ...algorithms('RSASSA_PKCS1_V1_5', [256, 384, 512]),
    ...algorithms('RSASSA_PSS', [256, 384, 512]),
  ]
  test.each<[KeySpec, string[]]>([
    ['RSA_2048', rsa],
    ['RSA_3072', rsa],
    ['ECC_NIST_P256', ['ECDSA_SHA_256']],
    ['ECC_NIST_P384', ['ECDSA_SHA_384']],
    ['ECC_NIST_P521', ['ECDSA_SHA_512']],
    ['ECC_SECG_P256K1', ['ECDSA_SHA_256']],
  ])('%s', async (keySpec, names) => {
    const KeyId = await createKey({ KeySpec: keySpec, KeyUsage: 'SIGN_VERIFY' })
    const { PublicKey, SigningAlgorithms } = await client.send(new GetPublicKeyCommand({ KeyId }))
    expect(SigningAlgorithms?.toSorted()).toEqual(names.toSorted())
    const file = (name: string) => join(directory, `${keySpec}-${name}`)
    await writeFile(file('public'), PublicKey ?? '')
    for (const name of names) {
      const [, scheme = '', bits = ''] = /^(.+)_SHA_(\d+)$/.exec(name) ?? []
      const digest = createHash(`sha${bits}`).update(message).digest()
      await writeFile(file('digest'), digest)
      for (const MessageType of ['RAW', 'DIGEST'] as const) {
        const { Signature } = await client.send(
          new SignCommand({
            ...{ KeyId, MessageType, Message: MessageType === 'RAW' ? message : digest },
            SigningAlgorithm: name as SigningAlgorithmSpec,
          }),
        )
        await writeFile(file('signature'), Signature ?? '')
        const { stdout } = await run('openssl', [
          ...['pkeyutl', '-verify', '-pubin', '-keyform', 'DER', '-inkey', file('public')],
          ...['-in', file('digest'), '-sigfile', file('signature')],
          ...(OPENSSL[scheme]?.(`sha${bits}`) ?? []),
        ])
        expect(stdout).toContain('Verified Successfully')
      }
    }
  })

  test('ECC_NIST_EDWARDS25519', async () => {
    const KeyId = await createKey({ KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' })
    const { PublicKey } = await client.send(new GetPublicKeyCommand({ KeyId }))
    const { Signature } = await client.send(
      new SignCommand({ KeyId, Message: message, SigningAlgorithm: 'ED25519_SHA_512' }),
    )
    const file = (name: string) => join(directory, `ed25519-${name}`)
    await writeFile(file('public'), PublicKey ?? '')
    await writeFile(file('message'), message)
    await writeFile(file('signature'), Signature ?? '')
    const { stdout } = await run('openssl', [
      ...['pkeyutl', '-verify', '-pubin', '-keyform', 'DER', '-inkey', file('public'), '-rawin'],
      ...['-in', file('message'), '-sigfile', file('signature')],
    ])
    expect(stdout).toContain('Verified Successfully')
  })
})

describe('what KMS refuses', () => {
  test('messages and digests of the wrong length', async () => {
    const KeyId = await createKey({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' })
    const edwards = await createKey({ KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' })
    const sign = (bytes: number, MessageType: 'RAW' | 'DIGEST', key = KeyId) =>
      refusal(
        client.send(
          new SignCommand({
            ...{ KeyId: key, MessageType, Message: new Uint8Array(bytes) },
            SigningAlgorithm: key === edwards ? 'ED25519_SHA_512' : 'ECDSA_SHA_256',
          }),
        ),
      )
    expect(await sign(4096, 'RAW')).toBe('accepted')
    expect(await sign(4097, 'RAW')).toBe('ValidationException')
    expect(await sign(0, 'RAW')).toBe('ValidationException')
    expect(await sign(32, 'DIGEST')).toBe('accepted')
    expect(await sign(31, 'DIGEST')).toBe('ValidationException')
    expect(await sign(64, 'DIGEST')).toBe('ValidationException')
    expect(await sign(4096, 'RAW', edwards)).toBe('accepted')
    expect(await sign(4097, 'RAW', edwards)).toBe('ValidationException')
    expect(await sign(64, 'DIGEST', edwards)).toBe('ValidationException')
  })

  test('an algorithm or usage that is not the key’s', async () => {
    const sign = (KeyId: string, SigningAlgorithm: SigningAlgorithmSpec) =>
      refusal(client.send(new SignCommand({ KeyId, Message: message, SigningAlgorithm })))
    const p256 = await createKey({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' })
    expect(await sign(p256, 'ECDSA_SHA_384')).toBe('InvalidKeyUsageException')
    expect(await sign(p256, 'RSASSA_PSS_SHA_256')).toBe('InvalidKeyUsageException')
    const decrypts = await createKey({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' })
    expect(await sign(decrypts, 'RSASSA_PSS_SHA_256')).toBe('InvalidKeyUsageException')
    const symmetric = await createKey({})
    expect(await refusal(client.send(new GetPublicKeyCommand({ KeyId: symmetric })))).toBe(
      'UnsupportedOperationException',
    )
  })

  test.each<[string, CreateKeyCommandInput]>([
    ['ValidationException', { KeySpec: 'ECC_NIST_P256' }],
    ['ValidationException', { KeySpec: 'toString' as KeySpec, KeyUsage: 'SIGN_VERIFY' }],
    ['ValidationException', { Tags: [{ TagKey: 'a!', TagValue: '' }] }],
    ['ValidationException', { Tags: [{ TagKey: 'a', TagValue: 'x'.repeat(257) }] }],
    ['TagException', { Tags: [{ TagKey: 'aws:a', TagValue: '' }] }],
    [
      'TagException',
      { Tags: Array.from({ length: 51 }, (_, n) => ({ TagKey: `t${n}`, TagValue: '' })) },
    ],
  ])('%s: CreateKey of %o', async (name, input) => {
    const before = emulator.keys().length
    expect(await refusal(client.send(new CreateKeyCommand(input)))).toBe(name)
    expect(emulator.keys()).toHaveLength(before)
  })
})

test('listings come in pages', async () => {
  const KeyId = await createKey({ Tags: [{ TagKey: 'one', TagValue: '1' }] })
  for (const TagKey of ['two', 'three']) {
    await client.send(new TagResourceCommand({ KeyId, Tags: [{ TagKey, TagValue: '' }] }))
    const alias = new CreateAliasCommand({ AliasName: `alias/${TagKey}`, TargetKeyId: KeyId })
    await client.send(alias)
    expect(await refusal(client.send(alias))).toBe('AlreadyExistsException')
  }
  const first = await client.send(new ListResourceTagsCommand({ KeyId }))
  expect(first).toMatchObject({ Truncated: true, Tags: [{ TagKey: 'one' }, { TagKey: 'two' }] })
  const second = await client.send(new ListResourceTagsCommand({ KeyId, Marker: first.NextMarker }))
  expect(second).toMatchObject({ Truncated: false, Tags: [{ TagKey: 'three' }] })
  expect((await client.send(new ListAliasesCommand())).Aliases).toHaveLength(2)

  const ids: (string | undefined)[] = []
  let Marker: string | undefined
  do {
    const page = await client.send(new ListKeysCommand({ Limit: 1000, Marker }))
    expect(page.Keys?.length).toBeLessThanOrEqual(2)
    ids.push(...(page.Keys ?? []).map((key) => key.KeyId))
    Marker = page.NextMarker
  } while (Marker !== undefined)
  expect(ids.toSorted()).toEqual(
    emulator
      .keys()
      .map(({ id }) => id)
      .toSorted(),
  )
  expect(await refusal(client.send(new ListKeysCommand({ Marker: 'x' })))).toBe(
    'InvalidMarkerException',
  )
})

describe('the wire', () => {
  const now = () => new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  function authorize(date: string, region = 'us-east-1', signature = '0'.repeat(64)): string {
    const scope = `${date.slice(0, 8)}/${region}/kms/aws4_request`
    return `AWS4-HMAC-SHA256 Credential=ID/${scope}, SignedHeaders=host;x-amz-date, Signature=${signature}`
  }
  async function post(headers: Record<string, string>, body = '{}') {
    const response = await fetch(emulator.endpoint, { method: 'POST', headers, body })
    const { __type: type } = (await response.json()) as { __type?: string }
    return { status: response.status, type, id: response.headers.get('x-amzn-requestid') }
  }
  const target = { 'x-amz-target': 'TrentService.ListKeys' }

  test('a request must be signed, well and now, for this region', async () => {
    const date = now()
    const signed = { ...target, 'x-amz-date': date, authorization: authorize(date) }
    expect(await post(signed)).toMatchObject({ status: 200, id: expect.any(String) as string })
    const bad: [Record<string, string>, string][] = [
      [{ ...target }, 'MissingAuthenticationTokenException'],
      [{ ...signed, authorization: 'Bearer abc' }, 'IncompleteSignatureException'],
      [{ ...signed, authorization: authorize(date, '', 'zz') }, 'IncompleteSignatureException'],
      [{ ...signed, 'x-amz-date': 'today' }, 'IncompleteSignatureException'],
      [{ ...signed, authorization: authorize(date, 'eu-west-1') }, 'InvalidSignatureException'],
      [{ ...signed, 'x-amz-date': '20200101T000000Z' }, 'InvalidSignatureException'],
    ]
    for (const [headers, type] of bad) {
      expect(await post(headers)).toMatchObject({ status: 400, type })
    }
  })

  test('what is no request is refused', async () => {
    const date = now()
    const signed = { ...target, 'x-amz-date': date, authorization: authorize(date) }
    for (const body of ['', '[]', 'null', '{"Limit":', '{"__proto__":{"Limit":1}}']) {
      const { type } = await post(signed, body)
      expect(type, body).toBe(body.startsWith('{"__') ? undefined : 'SerializationException')
    }
    expect(await post({ ...signed, 'x-amz-target': 'TrentService.constructor' })).toMatchObject({
      type: 'UnknownOperationException',
    })
    expect(await post(signed, JSON.stringify({ a: 'x'.repeat(1 << 20) }))).toMatchObject({
      status: 413,
    })
  })

  test('it listens on the loopback address only', async () => {
    const { port } = new URL(emulator.endpoint)
    const others = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
    for (const { address } of others) {
      const outcome = await new Promise((resolve) => {
        request({ host: address, port, timeout: 1000 })
          .on('response', () => {
            resolve('answered')
          })
          .on('error', (error: NodeJS.ErrnoException) => {
            resolve(error.code)
          })
          .end()
      })
      expect(outcome).toBe('ECONNREFUSED')
    }
  })
})

test('its faults and throttles are set by operation, and taken back', async () => {
  const own = await startKmsEmulator({ region: 'eu-west-1' })
  expect(own.uri).toBe(`awskms:region=eu-west-1;endpoint=${encodeURIComponent(own.endpoint)}`)
  expect(own.env.AWS_ACCESS_KEY_ID).not.toBe(emulator.env.AWS_ACCESS_KEY_ID)
  const impatient = new KMSClient({
    region: 'eu-west-1',
    endpoint: own.endpoint,
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    maxAttempts: 1,
  })
  const list = () => refusal(impatient.send(new ListKeysCommand()))
  own.inject('ListKeys', { kind: 'error', name: 'KMSInternalException' }, 2)
  own.inject('ListKeys', { kind: 'drop' })
  expect([await list(), await list()]).toEqual(['KMSInternalException', 'KMSInternalException'])
  expect(await list()).toBe('TimeoutError')
  own.throttle('ListKeys', 2)
  expect([await list(), await list(), await list()]).toEqual([
    'accepted',
    'accepted',
    'ThrottlingException',
  ])
  own.clearFaults()
  expect(await list()).toBe('accepted')
  expect(own.calls()).toEqual({ ListKeys: 7 })
  expect(() => {
    own.inject('Sing', { kind: 'drop' })
  }).toThrow(TypeError)
  impatient.destroy()
  await own.close()
  await own.close()
})
