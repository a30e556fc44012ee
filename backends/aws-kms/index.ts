import type { CallOptions } from '../../src/csr/signing-key.ts'
import { KeystayError } from '../../src/errors.ts'
import type { DiagnosableBackend, DiagnosisStep } from '../../src/key/backend.ts'
import { failedStep } from '../../src/key/failed-step.ts'
import { loadPeer } from '../peer.ts'
import { AwsKmsBackend } from './backend.ts'
import type { KmsClient, KmsOperation } from './client.ts'
import { SYSTEM_CLOCK, type Clock } from './clock.ts'
import { KmsConnection } from './connection.ts'
import { CREATOR_TAG, LABEL_TAG, REQUEST_TAG } from './tags.ts'
import { formatBackendUri, parseBackendUri, type AwsKmsLocation } from './uri.ts'

export type { KmsClient, KmsOperation } from './client.ts'
export type { Clock } from './clock.ts'

/** Credentials for AWS, as the SDK takes them. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  readonly expiration?: Date
}

/** What an AWS KMS backend may be given beside its URI. */
export interface AwsKmsBackendOptions {
  /** A `KMSClient` of the caller's own, who also destroys it. The URI may then name its region. */
  readonly client?: KmsClient | undefined
  /** Default: the SDK's chain (environment, profile, web identity, container, instance). */
  readonly credentials?: AwsCredentials | (() => Promise<AwsCredentials>) | undefined
  /** Further tags for every key that is created. */
  readonly tags?: Readonly<Record<string, string>> | undefined
  /** Key policy of new keys. Default: KMS's own, which leaves the decision to IAM. */
  readonly policy?: string | undefined
  /** Days until a destroyed key is gone, 7 to 30. Default: as the URI says, or 30. */
  readonly pendingWindowInDays?: number | undefined
  /** For each call, the SDK's retries included. Default 30,000. */
  readonly timeoutMs?: number | undefined
  /** Calls that may begin in a second. Default: the quotas that AWS gives a new account. */
  readonly callsPerSecond?: Partial<Readonly<Record<KmsOperation, number>>> | undefined
  /** Time, for tests. */
  readonly clock?: Clock | undefined
}

const DEFAULT_TIMEOUT_MS = 30_000
const MAX_TIMEOUT_MS = 600_000

const loadSdk = () => loadPeer('@aws-sdk/client-kms', async () => import('@aws-sdk/client-kms'))

/**
 * Opens a backend on AWS KMS: `awskms:region=…;endpoint=…;profile=…;deletion-window-days=…`, each
 * optional. Loads the SDK and settles the region; KMS is not called.
 * @throws {KeystayError} `uri_invalid`, `uri_attribute_unknown`, `uri_attribute_repeated`,
 *   `peer_missing`, `kms_region_missing`, `kms_region_mismatch`
 * @throws {TypeError} where an option is out of its range
 */
export async function openAwsKmsBackend(
  uri: string,
  options: AwsKmsBackendOptions & CallOptions = {},
): Promise<DiagnosableBackend> {
  options.signal?.throwIfAborted()
  const location = parseBackendUri(uri)
  checkOptions(location, options)
  const sdk = await loadSdk()
  const { timeoutMs = DEFAULT_TIMEOUT_MS, clock = SYSTEM_CLOCK, callsPerSecond = {} } = options
  const client: KmsClient = options.client ?? createClient(sdk, location, options, timeoutMs)
  const ownsClient = options.client === undefined
  const region = await resolveRegion(client, location)
  return new AwsKmsBackend({
    uri: formatBackendUri({ ...location, region }),
    connection: new KmsConnection({
      ...{ sdk, client, ownsClient, region, timeoutMs, callsPerSecond, clock },
    }),
    deletionWindowDays: options.pendingWindowInDays ?? location.deletionWindowDays ?? 30,
    tags: options.tags ?? {},
    policy: options.policy,
  })
}

function checkOptions(location: AwsKmsLocation, options: AwsKmsBackendOptions): void {
  const { client, credentials, tags = {}, callsPerSecond = {} } = options
  const { pendingWindowInDays = 30, timeoutMs = DEFAULT_TIMEOUT_MS } = options
  const { endpoint, profile } = location
  if (client !== undefined && (endpoint ?? profile ?? credentials) !== undefined) {
    throw new TypeError(
      'with the option client, endpoint, profile and credentials are the client’s',
    )
  }
  const reserved = [LABEL_TAG, REQUEST_TAG, CREATOR_TAG.TagKey].find((name) => name in tags)
  if (reserved !== undefined) throw new TypeError(`the tag ${reserved} is set by keystay itself`)
  requireWhole('pendingWindowInDays', pendingWindowInDays, 7, 30)
  requireWhole('timeoutMs', timeoutMs, 1, MAX_TIMEOUT_MS)
  for (const [operation, rate] of Object.entries(callsPerSecond)) {
    requireWhole(`callsPerSecond.${operation}`, rate, 1, 100_000)
  }
}

function requireWhole(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  throw new TypeError(`${name} must be a whole number from ${least} to ${most}`)
}

function createClient(
  sdk: Awaited<ReturnType<typeof loadSdk>>,
  { region, endpoint, profile }: AwsKmsLocation,
  { credentials }: AwsKmsBackendOptions,
  timeoutMs: number,
): KmsClient {
  // A hanging connection must leave time for another attempt within the deadline of the call. The
  // SDK has no timeout of its own, and only warns unless it is told to throw.
  const attemptMs = Math.ceil(timeoutMs / 3)
  return new sdk.KMSClient({
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    ...(profile !== undefined && { profile }),
    ...(credentials !== undefined && { credentials }),
    requestHandler: {
      connectionTimeout: attemptMs,
      requestTimeout: attemptMs,
      throwOnRequestTimeout: true,
    },
  })
}

async function resolveRegion(client: KmsClient, location: AwsKmsLocation): Promise<string> {
  let region: string
  try {
    region = await client.config.region()
  } catch (error) {
    throw new KeystayError(
      'kms_region_missing',
      'no AWS region is set; write awskms:region=eu-central-1, or set AWS_REGION or a profile with a region',
      { cause: error },
    )
  }
  if (location.region !== undefined && location.region !== region) {
    throw new KeystayError(
      'kms_region_mismatch',
      `the URI says region ${location.region}, but the client that was passed is for ${region}; leave the region out or correct it`,
    )
  }
  return region
}

/**
 * Says step by step whether the way to AWS KMS works: URI, SDK, region, credentials, endpoint,
 * permission to list. Creates nothing, changes nothing and never throws.
 */
export async function* diagnoseAwsKms(
  uri: string,
  options: AwsKmsBackendOptions & CallOptions = {},
): AsyncGenerator<DiagnosisStep, undefined> {
  let backend: DiagnosableBackend
  try {
    backend = await openAwsKmsBackend(uri, options)
  } catch (error) {
    yield failedStep('backend', error)
    return
  }
  try {
    yield { name: 'backend', status: 'ok', detail: `${backend.uri}; @aws-sdk/client-kms is loaded` }
    yield* backend.diagnose({ signal: options.signal })
  } finally {
    await backend.close()
  }
}
