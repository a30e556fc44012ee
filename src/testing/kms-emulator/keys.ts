import { randomUUID } from 'node:crypto'
import { KmsEmulatorError } from './errors.ts'
import { KEY_SPECS, type KeyPair } from './key-specs.ts'

/** Values of KeyState that the emulator knows. */
export type KmsKeyState = 'Enabled' | 'Disabled' | 'PendingDeletion' | 'Unavailable'

/** A key of the emulator; everything about it is in memory only. */
export interface EmulatedKey {
  readonly id: string
  readonly arn: string
  readonly spec: string
  readonly usage: string
  readonly description: string
  readonly createdAt: Date
  readonly tags: Map<string, string>
  /** Absent for symmetric keys, of which only the metadata are kept. */
  readonly pair: KeyPair | undefined
  state: KmsKeyState
  deletionDate: Date | undefined
  /** How many more calls do not see the key: eventual consistency. */
  hiddenCalls: number
}

/** The keys and aliases of one account in one region. */
export interface KeyStore {
  readonly keys: Map<string, EmulatedKey>
  /** Alias name, with `alias/`, to key id. */
  readonly aliases: Map<string, string>
  readonly arnPrefix: string
}

/** An empty account. */
export function createKeyStore(region: string, account: string): KeyStore {
  return { keys: new Map(), aliases: new Map(), arnPrefix: `arn:aws:kms:${region}:${account}:` }
}

/** Puts a key that is known to be wanted into the store. */
export async function addKey(
  store: KeyStore,
  wanted: Pick<EmulatedKey, 'spec' | 'usage' | 'description' | 'tags' | 'hiddenCalls'>,
): Promise<EmulatedKey> {
  const id = randomUUID()
  const key: EmulatedKey = {
    ...wanted,
    id,
    arn: `${store.arnPrefix}key/${id}`,
    createdAt: new Date(),
    pair: await KEY_SPECS.get(wanted.spec)?.generate(),
    state: 'Enabled',
    deletionDate: undefined,
  }
  store.keys.set(id, key)
  return key
}

/**
 * The key that a KeyId names: by id or ARN, and by alias where the operation allows that. Counts as
 * one of the calls that do not see a young key.
 */
export function findKey(store: KeyStore, keyId: string, aliasAllowed: boolean): EmulatedKey {
  const local = keyId.startsWith(store.arnPrefix) ? keyId.slice(store.arnPrefix.length) : keyId
  if (local.startsWith('arn:')) {
    throw new KmsEmulatorError('NotFoundException', `Invalid arn ${keyId.split(':')[3] ?? ''}`)
  }
  const isAlias = local.startsWith('alias/')
  if (isAlias && !aliasAllowed) {
    throw new KmsEmulatorError('NotFoundException', `Invalid keyId '${keyId}'`)
  }
  const id = isAlias ? store.aliases.get(local) : local.replace(/^key\//, '')
  const key = store.keys.get(id ?? '')
  if (key === undefined || !isVisible(key)) {
    const what = isAlias
      ? `Alias ${store.arnPrefix}${local}`
      : `Key '${store.arnPrefix}key/${id ?? ''}'`
    throw new KmsEmulatorError(
      'NotFoundException',
      `${what} ${isAlias ? 'is not found.' : 'does not exist'}`,
    )
  }
  return key
}

/** Whether this call sees the key; a call that does not is counted. */
export function isVisible(key: EmulatedKey): boolean {
  if (key.hiddenCalls === 0) return true
  key.hiddenCalls--
  return false
}

/** Refuses what cannot be done with a key in its state (KMS developer guide, key states). */
export function requireEnabled(key: EmulatedKey): void {
  if (key.state === 'Enabled') return
  if (key.state === 'Disabled') {
    throw new KmsEmulatorError('DisabledException', `${key.arn} is disabled.`)
  }
  throw new KmsEmulatorError(
    'KMSInvalidStateException',
    `${key.arn} is ${key.state === 'PendingDeletion' ? 'pending deletion' : 'unavailable'}.`,
  )
}

/** KeyMetadata, as CreateKey and DescribeKey answer it. */
export function describe(store: KeyStore, key: EmulatedKey): Record<string, unknown> {
  const spec = KEY_SPECS.get(key.spec)
  const signs = key.usage === 'SIGN_VERIFY'
  return {
    AWSAccountId: store.arnPrefix.split(':')[4],
    Arn: key.arn,
    KeyId: key.id,
    CreationDate: key.createdAt.getTime() / 1000,
    CustomerMasterKeySpec: key.spec,
    Description: key.description,
    Enabled: key.state === 'Enabled',
    KeyManager: 'CUSTOMER',
    KeySpec: key.spec,
    KeyState: key.state,
    KeyUsage: key.usage,
    MultiRegion: false,
    Origin: 'AWS_KMS',
    ...(signs && { SigningAlgorithms: spec?.signingAlgorithms }),
    ...(key.deletionDate && { DeletionDate: key.deletionDate.getTime() / 1000 }),
  }
}
