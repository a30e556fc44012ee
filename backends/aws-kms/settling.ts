import type { KeyMetadata } from '@aws-sdk/client-kms'
import { KeystayError } from '../../src/errors.ts'
import type { KmsConnection } from './connection.ts'
import { isKeystayError } from './errors.ts'

/** How long after its creation KMS may still deny that a key exists or may be used. */
const YOUTH_MS = 5 * 60_000
const FIRST_WAIT_MS = 250
const LONGEST_WAIT_MS = 16_000
const GIVE_UP_MS = 60_000

/** What a key that is not yet known everywhere is answered (KMS: eventual consistency, ABAC). */
const UNSETTLED = ['key_not_found', 'kms_key_unavailable', 'kms_access_denied'] as const

/** A key as calls name it, and its age as far as it is known. */
export interface KeyHandle {
  /** ARN, id or alias. */
  readonly keyId: string
  /** Milliseconds since 1970; asked of KMS when it matters. */
  createdAt: number | undefined
}

/**
 * Calls KMS about one key. While the key is younger than five minutes its absence, state or
 * permissions may be those of a moment ago: then the call is repeated, for a minute at most.
 * @throws {KeystayError} `kms_key_pending_deletion`, and what the call throws
 */
export async function callAboutKey<Result>(
  connection: KmsConnection,
  handle: KeyHandle,
  signal: AbortSignal | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  const { clock } = connection
  const begin = clock.now()
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    try {
      return await work()
    } catch (error) {
      if (!isKeystayError(error, ...UNSETTLED)) throw error
      const stateUnknown = error.code === 'kms_key_unavailable'
      if (stateUnknown || handle.createdAt === undefined) {
        const metadata = await tryDescribe(connection, handle, signal)
        if (stateUnknown) refuseState(handle, metadata, error)
        handle.createdAt ??= metadata?.CreationDate?.getTime() ?? 0
      }
      const isOld = clock.now() - handle.createdAt >= YOUTH_MS
      if (isOld || clock.now() + wait - begin > GIVE_UP_MS) throw error
      await connection.delay(wait, signal)
    }
  }
}

/** KMSInvalidStateException does not say which state; the remedy depends on it. */
function refuseState(
  { keyId }: KeyHandle,
  metadata: KeyMetadata | undefined,
  { cause }: KeystayError,
): void {
  const { KeyState: state, DeletionDate: at } = metadata ?? {}
  // An enabled key contradicts the error: one of the two answers is out of date.
  if (state === undefined || state === 'Enabled' || state === 'Creating') return
  if (state === 'PendingDeletion') {
    throw new KeystayError(
      'kms_key_pending_deletion',
      `the key ${keyId} is scheduled for deletion${at === undefined ? '' : ` on ${at.toISOString()}`}; until then CancelKeyDeletion and EnableKey bring it back`,
      { cause },
    )
  }
  throw new KeystayError(
    'kms_key_unavailable',
    `the key ${keyId} is in the state ${state}, which forbids this call; wait, or see the key in the AWS console`,
    { cause },
  )
}

/** Metadata for an explanation: no reason to fail with something else. */
async function tryDescribe(
  connection: KmsConnection,
  { keyId }: KeyHandle,
  signal: AbortSignal | undefined,
): Promise<KeyMetadata | undefined> {
  try {
    const { KeyMetadata } = await connection.call('DescribeKey', { KeyId: keyId }, signal)
    return KeyMetadata
  } catch {
    return undefined
  }
}
