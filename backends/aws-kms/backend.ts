import type { KeyMetadata } from '@aws-sdk/client-kms'
import { KEY_TYPE_NAMES, keyTypeFacts, type KeyType } from '../../src/csr/algorithms.ts'
import { sameBytes } from '../../src/csr/der/bytes.ts'
import { readPublicKey } from '../../src/csr/public-key.ts'
import type { CallOptions } from '../../src/csr/signing-key.ts'
import { KeystayError } from '../../src/errors.ts'
import type {
  BackendCapabilities,
  BackendKey,
  DiagnosableBackend,
  DiagnosisStep,
  GenerateKeyOptions,
  GetKeyOptions,
  KeyDestruction,
  KeyListing,
  ListKeysOptions,
} from '../../src/key/backend.ts'
import { checkLabel } from '../../src/key/label.ts'
import { keySpecOf, keyTypeOf, KMS_SIGNATURE_ALGORITHMS } from './algorithms.ts'
import type { KmsConnection } from './connection.ts'
import { createTaggedKey } from './creation.ts'
import { diagnoseConnection } from './diagnosis.ts'
import { isKeystayError } from './errors.ts'
import { createKmsKey } from './key.ts'
import { callAboutKey, type KeyHandle } from './settling.ts'
import { CREATOR_TAG, LABEL_TAG, mapConcurrently, readTaggedKeys, readTags } from './tags.ts'
import { formatKmsKeyUri, parseKmsKeyUri, SCHEME, type AwsKmsKeyName } from './uri.ts'

/** What an {@link AwsKmsBackend} is made of, checked. */
export interface AwsKmsBackendParts {
  readonly uri: string
  readonly connection: KmsConnection
  readonly deletionWindowDays: number
  readonly tags: Readonly<Record<string, string>>
  readonly policy: string | undefined
}

/** Keys in AWS KMS. Owns its connection. */
export class AwsKmsBackend implements DiagnosableBackend {
  readonly scheme: string = SCHEME
  readonly uri: string
  readonly address: string
  readonly #parts: AwsKmsBackendParts
  readonly #connection: KmsConnection

  constructor(parts: AwsKmsBackendParts) {
    this.uri = parts.uri
    this.address = parts.uri
    this.#parts = parts
    this.#connection = parts.connection
  }

  async capabilities(options?: CallOptions): Promise<BackendCapabilities> {
    return this.#connection.run(options, async () => ({
      keyTypes: KEY_TYPE_NAMES,
      signatureAlgorithms: KMS_SIGNATURE_ALGORITHMS,
      deletion: 'scheduled',
      durable: true,
      // KMS has no look-up by tag: to ask would cost a call for each key of the account.
      uniqueLabels: false,
    }))
  }

  async generateKey(keyType: KeyType, options: GenerateKeyOptions): Promise<BackendKey> {
    const { label } = options
    keyTypeFacts(keyType)
    checkLabel(label)
    return this.#connection.run(options, async (signal) => {
      const tags = Object.entries(this.#parts.tags)
      const { policy } = this.#parts
      const metadata = await createTaggedKey(
        this.#connection,
        {
          KeySpec: keySpecOf(keyType),
          KeyUsage: 'SIGN_VERIFY',
          Description: label,
          Tags: [CREATOR_TAG, ...tags.map(([TagKey, TagValue]) => ({ TagKey, TagValue }))],
          ...(policy !== undefined && { Policy: policy }),
        },
        label,
        signal,
      )
      const keyId = metadata.Arn ?? metadata.KeyId ?? ''
      const handle: KeyHandle = { keyId, createdAt: this.#connection.clock.now() }
      try {
        return await this.#readKey(handle, { label, metadata }, signal)
      } catch (error) {
        if (!(error instanceof KeystayError)) throw error
        throw new KeystayError(
          error.code,
          `${error.message}; the key ${keyId} was created nevertheless, and findKey of its label finds it`,
          { cause: error },
        )
      }
    })
  }

  async getKey(uri: string, options: GetKeyOptions = {}): Promise<BackendKey> {
    const { keyId, isAlias } = this.#parseKeyUri(uri)
    const { publicKey } = options
    return this.#connection.run(options, async (signal) => {
      // An alias can have been pointed at another key since, so it is always looked up.
      if (publicKey === undefined || isAlias) {
        const handle: KeyHandle = { keyId, createdAt: undefined }
        return this.#readKey(handle, { publicKey }, signal)
      }
      const { keyType } = readPublicKey(publicKey)
      if (keyType === undefined) throw unsuitable(keyId, 'its public key is of another type')
      return this.#createKey({ keyId, createdAt: undefined }, { keyType, publicKey })
    })
  }

  async findKey(label: string, options?: CallOptions): Promise<BackendKey | undefined> {
    checkLabel(label)
    return this.#connection.run(options, async (signal) => {
      const found: KeyHandle[] = []
      for await (const page of readTaggedKeys(this.#connection, signal)) {
        for (const { arn, tags } of page) {
          if (tags.get(LABEL_TAG) !== label) continue
          const metadata = await this.#describe(arn, signal)
          if (listedState(metadata) === 'scheduled') continue
          found.push({ keyId: arn, createdAt: metadata.CreationDate?.getTime() })
        }
      }
      const [first, second] = found
      if (first === undefined) return undefined
      if (second === undefined) return this.#readKey(first, { label }, signal)
      throw new KeystayError(
        'key_ambiguous',
        `${found.length} keys have the label ${label}: ${found.map(({ keyId }) => keyId).join(', ')}; get the right one by its URI and destroy the others`,
      )
    })
  }

  async *listKeys(options: ListKeysOptions = {}): AsyncGenerator<KeyListing, undefined> {
    const { labelPrefix = '', signal } = options
    const pages = readTaggedKeys(this.#connection, signal)
    for (;;) {
      const listings = await this.#connection.run(options, async () => {
        const page = await pages.next()
        if (page.done === true) return undefined
        const ours = page.value.filter(({ tags }) => tags.get(LABEL_TAG)?.startsWith(labelPrefix))
        return mapConcurrently(ours, async ({ arn, tags }) => {
          const metadata = await this.#describe(arn, signal)
          return this.#list(arn, tags.get(LABEL_TAG), metadata)
        })
      })
      if (listings === undefined) return
      yield* listings
    }
  }

  async destroyKey(uri: string, options?: CallOptions): Promise<KeyDestruction> {
    const { keyId, isAlias } = this.#parseKeyUri(uri)
    if (isAlias) {
      throw new KeystayError(
        'kms_alias_refused',
        `${uri} names an alias, which may point at another key tomorrow; destroy by key id or ARN`,
      )
    }
    return this.#connection.run(options, async (signal) => {
      const handle: KeyHandle = { keyId, createdAt: undefined }
      const input = { KeyId: keyId, PendingWindowInDays: this.#parts.deletionWindowDays }
      try {
        const { DeletionDate } = await callAboutKey(this.#connection, handle, signal, () =>
          this.#connection.call('ScheduleKeyDeletion', input, signal),
        )
        return { state: 'scheduled', at: requireDate(DeletionDate) }
      } catch (error) {
        if (!isKeystayError(error, 'kms_key_pending_deletion')) throw error
        const { DeletionDate } = await this.#describe(keyId, signal)
        return { state: 'scheduled', at: requireDate(DeletionDate) }
      }
    })
  }

  async *diagnose(options?: CallOptions): AsyncGenerator<DiagnosisStep, undefined> {
    yield* diagnoseConnection(this.#connection, options?.signal)
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #parseKeyUri(uri: string): AwsKmsKeyName {
    const name = parseKmsKeyUri(uri)
    const { region } = this.#connection
    if (name.region !== undefined && name.region !== region) {
      throw new KeystayError(
        'key_uri_foreign',
        `${uri} is in ${name.region}, this backend in ${region}; open a backend with region=${name.region}`,
      )
    }
    return name
  }

  #createKey(
    handle: KeyHandle,
    facts: {
      readonly keyType: KeyType
      readonly publicKey: Uint8Array
      readonly label?: string | undefined
      readonly metadata?: KeyMetadata | undefined
    },
  ): BackendKey {
    const uri = formatKmsKeyUri(handle.keyId, this.#connection.region)
    return createKmsKey({ connection: this.#connection, handle, uri, ...facts })
  }

  /** A key with what GetPublicKey says of it; the label is asked for where it is not known. */
  async #readKey(
    handle: KeyHandle,
    known: {
      readonly label?: string
      readonly metadata?: KeyMetadata
      readonly publicKey?: Uint8Array | undefined
    },
    signal: AbortSignal | undefined,
  ): Promise<BackendKey> {
    const { KeyId, KeySpec, KeyUsage, PublicKey } = await callAboutKey(
      this.#connection,
      handle,
      signal,
      () => this.#connection.call('GetPublicKey', { KeyId: handle.keyId }, signal),
    )
    const keyType = keyTypeOf(KeySpec)
    const keyId = KeyId ?? handle.keyId
    if (KeyUsage !== 'SIGN_VERIFY') throw unsuitable(keyId, `its usage is ${String(KeyUsage)}`)
    if (keyType === undefined) throw unsuitable(keyId, `its spec is ${String(KeySpec)}`)
    // A plain Uint8Array: the SDK answers a view, which may be a Buffer on shared memory.
    const publicKey = new Uint8Array(PublicKey ?? [])
    if (readPublicKey(publicKey).keyType !== keyType) {
      throw new KeystayError(
        'public_key_invalid',
        `AWS KMS says that ${keyId} is ${String(KeySpec)}, but answers a public key of another type`,
      )
    }
    if (known.publicKey !== undefined && !sameBytes(known.publicKey, publicKey)) {
      throw new KeystayError(
        'kms_public_key_mismatch',
        `${handle.keyId} now leads to ${keyId}, whose public key is not the one that was stored; use the URI of the key itself`,
      )
    }
    const { metadata, label = await this.#readLabel(keyId, signal) } = known
    const resolved: KeyHandle = { keyId, createdAt: handle.createdAt }
    return this.#createKey(resolved, { keyType, publicKey, label, metadata })
  }

  async #readLabel(keyId: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    try {
      return (await readTags(this.#connection, keyId, signal)).get(LABEL_TAG)
    } catch (error) {
      // The label is for people: a role that may not read tags can sign all the same.
      if (isKeystayError(error, 'kms_access_denied', 'key_not_found')) return undefined
      throw error
    }
  }

  async #describe(keyId: string, signal: AbortSignal | undefined): Promise<KeyMetadata> {
    const { KeyMetadata } = await this.#connection.call('DescribeKey', { KeyId: keyId }, signal)
    return KeyMetadata ?? { KeyId: keyId }
  }

  #list(arn: string, label: string | undefined, metadata: KeyMetadata): KeyListing {
    return {
      uri: formatKmsKeyUri(arn, this.#connection.region),
      label,
      keyType: keyTypeOf(metadata.KeySpec),
      state: listedState(metadata),
      createdAt: metadata.CreationDate,
    }
  }
}

function listedState({ KeyState }: KeyMetadata): KeyListing['state'] {
  if (KeyState === 'Enabled') return 'usable'
  if (KeyState === 'Disabled') return 'disabled'
  const scheduled = KeyState === 'PendingDeletion' || KeyState === 'PendingReplicaDeletion'
  return scheduled ? 'scheduled' : 'unavailable'
}

function unsuitable(keyId: string, why: string): KeystayError {
  return new KeystayError(
    'kms_key_unsuitable',
    `the key ${keyId} cannot sign requests: ${why}; use a key with usage SIGN_VERIFY and one of the specs ${KEY_TYPE_NAMES.map(keySpecOf).join(', ')}`,
  )
}

function requireDate(date: Date | undefined): Date {
  if (date !== undefined) return date
  throw new KeystayError(
    'backend_unavailable',
    'AWS KMS did not say when it deletes the key; ask again',
  )
}
