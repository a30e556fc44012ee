import type { CreateKeyCommandInput, KeyMetadata } from '@aws-sdk/client-kms'
import { KeystayError } from '../../src/errors.ts'
import type { KmsConnection } from './connection.ts'
import { isUnclear } from './errors.ts'
import { LABEL_TAG, readTaggedKeys, REQUEST_TAG } from './tags.ts'

/** How long to wait before each search for a key that may have been created: 30 s in all. */
const SEARCH_WAITS_MS = [0, 1000, 2000, 4000, 8000, 15_000]

/**
 * Creates a key, once: CreateKey has no client token, so after a lost answer the key is searched
 * for by the request's tag before it is asked for again, with the same tags, a single time.
 * @throws {KeystayError} `kms_creation_unclear`, and what a call may throw
 */
export async function createTaggedKey(
  connection: KmsConnection,
  input: CreateKeyCommandInput,
  label: string,
  signal: AbortSignal | undefined,
): Promise<KeyMetadata> {
  const requestId = crypto.randomUUID()
  const tagged: CreateKeyCommandInput = {
    ...input,
    Tags: [
      ...(input.Tags ?? []),
      { TagKey: LABEL_TAG, TagValue: label },
      { TagKey: REQUEST_TAG, TagValue: requestId },
    ],
  }
  for (let attempt = 1; ; attempt++) {
    try {
      const { KeyMetadata } = await connection.call('CreateKey', tagged, signal)
      if (KeyMetadata !== undefined) return KeyMetadata
    } catch (error) {
      if (!isUnclear(error)) throw error
      const found = await searchAfter(error, connection, label, requestId, signal)
      if (found !== undefined) return found
      if (attempt === 2) throw unclear(error, 'and it was not found afterwards', label, requestId)
    }
  }
}

function unclear(
  cause: KeystayError,
  what: string,
  label: string,
  requestId: string,
): KeystayError {
  return new KeystayError(
    'kms_creation_unclear',
    `AWS KMS did not confirm the creation of a key (${cause.message}), ${what}; if there is one it has the tags ${LABEL_TAG}=${label} and ${REQUEST_TAG}=${requestId}, and findKey of that label finds it`,
    { cause },
  )
}

async function searchAfter(
  cause: KeystayError,
  connection: KmsConnection,
  label: string,
  requestId: string,
  signal: AbortSignal | undefined,
): Promise<KeyMetadata | undefined> {
  try {
    return await search(connection, requestId, signal)
  } catch (error) {
    if (!(error instanceof KeystayError)) throw error
    throw unclear(cause, `and the search for it failed (${error.message})`, label, requestId)
  }
}

async function search(
  connection: KmsConnection,
  requestId: string,
  signal: AbortSignal | undefined,
): Promise<KeyMetadata | undefined> {
  const otherKeys = new Set<string>()
  for (const wait of SEARCH_WAITS_MS) {
    if (wait > 0) await connection.delay(wait, signal)
    for await (const page of readTaggedKeys(connection, signal, otherKeys)) {
      for (const { arn, tags } of page) {
        if (tags.get(REQUEST_TAG) === requestId) {
          const { KeyMetadata } = await connection.call('DescribeKey', { KeyId: arn }, signal)
          return KeyMetadata
        }
        // A key without tags may be ours all the same: tags, too, take a while to be seen.
        if (tags.size > 0) otherKeys.add(arn)
      }
    }
  }
  return undefined
}
