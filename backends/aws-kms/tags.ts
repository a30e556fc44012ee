import type { ListKeysCommandOutput, ListResourceTagsCommandOutput } from '@aws-sdk/client-kms'
import type { KeystayError } from '../../src/errors.ts'
import type { KmsConnection } from './connection.ts'
import { isKeystayError } from './errors.ts'

/** The tags that every key of ours is created with. */
export const LABEL_TAG = 'keystay-label'
export const REQUEST_TAG = 'keystay-request-id'
export const CREATOR_TAG = { TagKey: 'created-by', TagValue: 'keystay' } as const

/** Keys that are asked about at the same time. */
const CONCURRENCY = 16

/** A key of the account whose tags could be read. */
export interface TaggedKey {
  readonly arn: string
  readonly tags: ReadonlyMap<string, string>
}

/**
 * All the keys of the account and region with their tags, page by page. A key whose tags may not be
 * read is another's and is left out, and so is one that has gone since.
 * @param skip ARNs that need not be read again
 * @throws {KeystayError} `kms_access_denied` where the tags of no key at all may be read
 */
export async function* readTaggedKeys(
  connection: KmsConnection,
  signal: AbortSignal | undefined,
  skip: ReadonlySet<string> = new Set(),
): AsyncGenerator<readonly TaggedKey[], undefined> {
  let denial: KeystayError | undefined
  let anyRead = skip.size > 0
  let marker: string | undefined
  do {
    const page: ListKeysCommandOutput = await connection.call(
      'ListKeys',
      { Limit: 1000, ...(marker !== undefined && { Marker: marker }) },
      signal,
    )
    const arns = (page.Keys ?? []).flatMap(({ KeyArn }) =>
      KeyArn === undefined || skip.has(KeyArn) ? [] : [KeyArn],
    )
    const read = await mapConcurrently(arns, async (arn) => {
      try {
        return { arn, tags: await readTags(connection, arn, signal) }
      } catch (error) {
        if (!isKeystayError(error, 'key_not_found', 'kms_access_denied')) throw error
        if (error.code === 'kms_access_denied') denial = error
        return undefined
      }
    })
    const keys = read.filter((key) => key !== undefined)
    anyRead ||= keys.length > 0
    yield keys
    marker = page.Truncated === true ? page.NextMarker : undefined
  } while (marker !== undefined)
  if (!anyRead && denial !== undefined) throw denial
}

/** The tags of one key. */
export async function readTags(
  connection: KmsConnection,
  keyId: string,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, string>> {
  const tags = new Map<string, string>()
  let marker: string | undefined
  do {
    const page: ListResourceTagsCommandOutput = await connection.call(
      'ListResourceTags',
      { KeyId: keyId, Limit: 50, ...(marker !== undefined && { Marker: marker }) },
      signal,
    )
    for (const { TagKey, TagValue } of page.Tags ?? []) tags.set(TagKey ?? '', TagValue ?? '')
    marker = page.Truncated === true ? page.NextMarker : undefined
  } while (marker !== undefined)
  return tags
}

/** Maps in order, with some under way at the same time; a failure ends it. */
export async function mapConcurrently<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  const entries = items.entries()
  let failed = false
  async function worker(): Promise<void> {
    for (const [index, item] of entries) {
      if (failed) return
      try {
        results[index] = await work(item)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, items.length) }, worker))
  return results
}
