import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KMSClient } from '@aws-sdk/client-kms'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { customHostOf } from '../../../backends/aws-kms/attestation.ts'
import {
  diagnoseAwsKms,
  openAwsKmsBackend,
  type AwsKmsBackendOptions,
  type KmsClient,
} from '../../../backends/aws-kms/index.ts'
import { isDiagnosable, type DiagnosisStep } from '../../../src/key/backend.ts'
import { startKmsEmulator, type KmsEmulator } from '../../../src/testing/kms-emulator/index.ts'
import { credentialsOf, failureOf } from './support.ts'

let emulator: KmsEmulator
let directory: string

beforeAll(async () => {
  emulator = await startKmsEmulator()
  directory = await mkdtemp(join(tmpdir(), 'keystay-aws-'))
})

afterAll(async () => {
  await emulator.close()
  await rm(directory, { recursive: true })
})

// Nothing of the machine's own AWS configuration.
beforeEach(() => {
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('AWS_')) vi.stubEnv(name, undefined)
  }
  vi.stubEnv('AWS_CONFIG_FILE', join(directory, 'config'))
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(directory, 'credentials'))
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
})

afterEach(() => {
  vi.unstubAllEnvs()
})

function useEmulatorEnvironment(): void {
  for (const [name, value] of Object.entries(emulator.env)) vi.stubEnv(name, value)
}

describe('the URI', () => {
  test.each([
    ['awskms:zone=a', 'uri_attribute_unknown', 'region, endpoint, profile'],
    ['awskms:region=a;region=b', 'uri_attribute_repeated', 'region'],
    ['awskms:region=', 'uri_invalid', 'region is empty'],
    ['awskms:region=US', 'uri_invalid', 'eu-central-1'],
    ['awskms:region=us-east-1/', 'uri_invalid', 'eu-central-1'],
    ['awskms:region=us-east-1?endpoint=a', 'uri_invalid', 'semicolons'],
    ['awskms:endpoint=localhost:4566', 'uri_invalid', 'http or https'],
    ['awskms:endpoint=file:///etc/passwd', 'uri_invalid', 'http or https'],
    ['awskms:endpoint=http://user:hunter2@localhost', 'uri_invalid', 'credentials'],
    ['awskms:deletion-window-days=6', 'uri_invalid', '7 to 30'],
    ['awskms:deletion-window-days=31', 'uri_invalid', '7 to 30'],
    ['awskms:deletion-window-days=10.5', 'uri_invalid', '7 to 30'],
    ['awskms:key-id=alias/a', 'uri_attribute_unknown', 'key-id'],
    ['pkcs11:token=a', 'uri_invalid', 'awskms:'],
  ])('%s: %s', async (uri, code, hint) => {
    const failure = await failureOf(openAwsKmsBackend(uri))
    expect(failure.code).toBe(code)
    expect(failure.message).toContain(hint)
    expect(failure.message).not.toContain('hunter2')
  })

  test('is answered with the region settled, and opens the same again', async () => {
    vi.stubEnv('AWS_REGION', 'eu-central-1')
    const endpoint = 'https://kms.example.com:8443/a;b'
    const uri = `awskms:endpoint=${encodeURIComponent(endpoint)};profile=a%3Bb;deletion-window-days=7`
    const backend = await openAwsKmsBackend(uri)
    expect(backend.uri).toBe(
      'awskms:region=eu-central-1;endpoint=https%3A%2F%2Fkms.example.com%3A8443%2Fa%3Bb;profile=a%3Bb;deletion-window-days=7',
    )
    expect((await openAwsKmsBackend(backend.uri)).uri).toBe(backend.uri)
    expect(backend.scheme).toBe('awskms')
    expect(isDiagnosable(backend)).toBe(true)
    await backend.close()
  })
})

describe('region and credentials', () => {
  test('no region anywhere', async () => {
    expect((await failureOf(openAwsKmsBackend('awskms:'))).code).toBe('kms_region_missing')
  })

  test('all from the environment', async () => {
    useEmulatorEnvironment()
    await using backend = await openAwsKmsBackend('awskms:')
    const key = await backend.generateKey('p256v1', { label: 'keystay:env' })
    expect((await key.attest()).concerns).toHaveLength(1)
    expect(key.uri).toContain('us-east-1')
  })

  test('from a profile', async () => {
    const { accessKeyId, secretAccessKey } = credentialsOf(emulator)
    // The SDK remembers what it read at a path.
    vi.stubEnv('AWS_CONFIG_FILE', join(directory, 'profiles'))
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(directory, 'profile-credentials'))
    await writeFile(join(directory, 'profiles'), '[profile edge]\nregion = us-east-1\n')
    await writeFile(
      join(directory, 'profile-credentials'),
      `[edge]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
    )
    const endpoint = encodeURIComponent(emulator.endpoint)
    await using backend = await openAwsKmsBackend(`awskms:endpoint=${endpoint};profile=edge`)
    expect(backend.uri).toContain('region=us-east-1')
    await backend.generateKey('p256v1', { label: 'keystay:profile' })
  })

  test('no credentials anywhere', async () => {
    await using backend = await openAwsKmsBackend(emulator.uri)
    const failure = await failureOf(backend.generateKey('p256v1', { label: 'keystay:none' }))
    expect(failure.code).toBe('kms_credentials_missing')
    expect(failure.message).toContain('AWS_ACCESS_KEY_ID')
  })

  test('from a provider of the caller’s own', async () => {
    const credentials = vi.fn(async () => credentialsOf(emulator))
    await using backend = await openAwsKmsBackend(emulator.uri, { credentials })
    expect(credentials).not.toHaveBeenCalled()
    await backend.generateKey('p256v1', { label: 'keystay:provider' })
    expect(credentials).toHaveBeenCalled()
  })

  test('an endpoint of another region', async () => {
    const uri = emulator.uri.replace('us-east-1', 'eu-west-1')
    await using backend = await openAwsKmsBackend(uri, { credentials: credentialsOf(emulator) })
    const failure = await failureOf(backend.generateKey('p256v1', { label: 'keystay:region' }))
    expect(failure.code).toBe('kms_credentials_invalid')
    expect(failure.message).toContain('eu-west-1')
  })
})

describe('options', () => {
  test('the SDK’s own client fits, and decides the region', async () => {
    const sdk = new KMSClient({ region: 'eu-west-3' })
    const client: KmsClient = sdk
    expect((await openAwsKmsBackend('awskms:', { client })).uri).toBe('awskms:region=eu-west-3')
    const { code } = await failureOf(openAwsKmsBackend('awskms:region=us-east-1', { client }))
    expect(code).toBe('kms_region_mismatch')
    sdk.destroy()
  })

  test.each<[string, AwsKmsBackendOptions]>([
    ['awskms:profile=a', { client: new KMSClient({ region: 'us-east-1' }) }],
    ['awskms:endpoint=http://a', { client: new KMSClient({ region: 'us-east-1' }) }],
    ['awskms:', { pendingWindowInDays: 6 }],
    ['awskms:', { pendingWindowInDays: Number.NaN }],
    ['awskms:', { timeoutMs: 0 }],
    ['awskms:', { tags: { 'keystay-label': 'a' } }],
    ['awskms:', { callsPerSecond: { Sign: 0 } }],
  ])('%s with %o is a mistake', async (uri, options) => {
    await expect(openAwsKmsBackend(uri, options)).rejects.toBeInstanceOf(TypeError)
  })

  test('the policy is passed on, the lockout check never bypassed', async () => {
    const send = vi.fn<(command: { input: unknown }) => Promise<unknown>>(async () => {
      throw Object.assign(new Error('no'), {
        name: 'MalformedPolicyDocumentException',
        $metadata: { httpStatusCode: 400 },
      })
    })
    const client: KmsClient = {
      config: { region: async () => 'us-east-1', credentials: async () => ({}) },
      send,
      destroy() {
        throw new Error('it is the caller’s')
      },
    }
    await using backend = await openAwsKmsBackend('awskms:', { client, policy: '{"bad":true}' })
    const failure = await failureOf(backend.generateKey('p256v1', { label: 'keystay:policy' }))
    expect(failure.code).toBe('kms_request_rejected')
    expect(failure.message).toContain('MalformedPolicyDocumentException')
    expect(send.mock.calls[0]?.[0].input).toEqual({
      KeySpec: 'ECC_NIST_P256',
      KeyUsage: 'SIGN_VERIFY',
      Description: 'keystay:policy',
      Policy: '{"bad":true}',
      Tags: expect.any(Array) as unknown[],
    })
  })
})

describe('a diagnosis', () => {
  async function diagnose(uri: string, options?: AwsKmsBackendOptions): Promise<DiagnosisStep[]> {
    const steps: DiagnosisStep[] = []
    for await (const step of diagnoseAwsKms(uri, options)) steps.push(step)
    return steps
  }
  const summary = (steps: DiagnosisStep[]) => steps.map(({ name, status }) => `${name} ${status}`)

  test('of a way that works', async () => {
    useEmulatorEnvironment()
    emulator.resetCalls()
    expect(summary(await diagnose('awskms:'))).toEqual([
      'backend ok',
      'region ok',
      'credentials ok',
      'endpoint ok',
      'permissions ok',
    ])
    expect(emulator.calls()).toEqual({ ListKeys: 1 })
  })

  test('of a permission that is missing', async () => {
    useEmulatorEnvironment()
    emulator.inject('ListKeys', { kind: 'error', name: 'AccessDeniedException' })
    const steps = await diagnose('awskms:')
    expect(summary(steps).slice(3)).toEqual(['endpoint ok', 'permissions warning'])
    expect(steps.at(-1)).toMatchObject({
      detail: expect.stringContaining('kms:ListKeys') as string,
      remedy: expect.stringContaining('IAM policy') as string,
    })
  })

  test('of each way that does not work', async () => {
    const region = 'awskms:region=us-east-1'
    expect(summary(await diagnose('awskms:'))).toEqual(['backend failed'])
    expect(summary(await diagnose('nonsense'))).toEqual(['backend failed'])
    expect(summary(await diagnose(region)).slice(2)).toEqual([
      'credentials failed',
      'endpoint skipped',
      'permissions skipped',
    ])
    const credentials = credentialsOf(emulator)
    const nobody = `${region};endpoint=${encodeURIComponent('http://127.0.0.1:9')}`
    const steps = await diagnose(nobody, { credentials })
    expect(summary(steps).slice(3)).toEqual(['endpoint failed', 'permissions skipped'])
    for (const { status, detail, remedy } of steps) {
      expect(detail).not.toBe('')
      if (status === 'failed') expect(remedy).toBeTruthy()
    }
  })
})

test('which hosts are not AWS', () => {
  expect(customHostOf(undefined)).toBeUndefined()
  expect(customHostOf('kms.us-east-1.amazonaws.com')).toBeUndefined()
  expect(customHostOf('kms.cn-north-1.amazonaws.com.cn')).toBeUndefined()
  expect(customHostOf('vpce-1.kms.us-east-1.vpce.amazonaws.com')).toBeUndefined()
  expect(customHostOf('kms.us-east-1.api.aws')).toBeUndefined()
  expect(customHostOf('evil-amazonaws.com')).toBe('evil-amazonaws.com')
  expect(customHostOf('127.0.0.1')).toBe('127.0.0.1')
})
