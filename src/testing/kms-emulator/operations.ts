import { KmsEmulatorError } from './errors.ts'
import { checkMessage, KEY_SPECS, SIGNING_ALGORITHMS } from './key-specs.ts'
import {
  addKey,
  describe,
  findKey,
  isVisible,
  requireEnabled,
  type EmulatedKey,
  type KeyStore,
} from './keys.ts'
import { readBoundedInteger, readBytes, readPage, readTags, readText } from './request.ts'

/** What the operations of one emulator work on. */
export interface Account {
  readonly store: KeyStore
  readonly maxKeys: number
  readonly pageSize: number
  readonly keySpecs: readonly string[]
  /** How many calls do not see a key that is created now. */
  hiddenCallsOfNewKeys: number
}

type Request = ReadonlyMap<string, unknown>
type Operation = (account: Account, request: Request) => unknown

async function createKey(account: Account, request: Request): Promise<unknown> {
  const spec =
    readText(request, 'KeySpec') ??
    readText(request, 'CustomerMasterKeySpec') ??
    'SYMMETRIC_DEFAULT'
  const usage = readText(request, 'KeyUsage') ?? 'ENCRYPT_DECRYPT'
  if (!account.keySpecs.includes(spec)) {
    throw new KmsEmulatorError(
      'ValidationException',
      `Value '${spec}' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set`,
    )
  }
  const usages = KEY_SPECS.get(spec)?.usages ?? ['ENCRYPT_DECRYPT']
  if (!usages.includes(usage)) {
    throw new KmsEmulatorError(
      'ValidationException',
      `KeyUsage ${usage} is not compatible with KeySpec ${spec}`,
    )
  }
  const tags = readTags(request)
  if (account.store.keys.size >= account.maxKeys) {
    throw new KmsEmulatorError('LimitExceededException', 'The quota of KMS keys is reached')
  }
  const key = await addKey(account.store, {
    spec,
    usage,
    description: readText(request, 'Description', 8192) ?? '',
    tags,
    hiddenCalls: account.hiddenCallsOfNewKeys,
  })
  return { KeyMetadata: describe(account.store, key) }
}

function requireKey(account: Account, request: Request, aliasAllowed = false): EmulatedKey {
  const keyId = readText(request, 'KeyId', 2048)
  if (keyId === undefined || keyId === '') {
    throw new KmsEmulatorError('ValidationException', `Value at 'keyId' must not be null`)
  }
  return findKey(account.store, keyId, aliasAllowed)
}

function getPublicKey(account: Account, request: Request): unknown {
  const key = requireKey(account, request, true)
  if (key.pair === undefined) {
    throw new KmsEmulatorError('UnsupportedOperationException', `${key.arn} is not asymmetric.`)
  }
  requireEnabled(key)
  return {
    KeyId: key.arn,
    PublicKey: key.pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    CustomerMasterKeySpec: key.spec,
    KeySpec: key.spec,
    KeyUsage: key.usage,
    ...(key.usage === 'SIGN_VERIFY' && {
      SigningAlgorithms: KEY_SPECS.get(key.spec)?.signingAlgorithms,
    }),
  }
}

function sign(account: Account, request: Request): unknown {
  const key = requireKey(account, request, true)
  const algorithm = SIGNING_ALGORITHMS.get(readText(request, 'SigningAlgorithm') ?? '')
  const message = readBytes(request, 'Message')
  const messageType = readText(request, 'MessageType') ?? 'RAW'
  if (algorithm === undefined) {
    throw new KmsEmulatorError('ValidationException', 'SigningAlgorithm is not one KMS knows')
  }
  checkMessage(algorithm, message, messageType)
  requireEnabled(key)
  const spec = KEY_SPECS.get(key.spec)
  if (
    key.pair === undefined ||
    key.usage !== 'SIGN_VERIFY' ||
    spec?.signingAlgorithms.includes(algorithm.name) !== true
  ) {
    throw new KmsEmulatorError(
      'InvalidKeyUsageException',
      `${key.arn} key usage is ${key.usage} and its spec ${key.spec}, which is not valid for Sign with ${algorithm.name}.`,
    )
  }
  const signature = spec.sign(key.pair.privateKey, algorithm, message, messageType === 'DIGEST')
  return {
    KeyId: key.arn,
    Signature: signature.toString('base64'),
    SigningAlgorithm: algorithm.name,
  }
}

function listKeys({ store, pageSize }: Account, request: Request): unknown {
  // Ordered by id, which says nothing about age: nor does KMS promise an order.
  const keys = [...store.keys.values()].sort((one, other) => (one.id < other.id ? -1 : 1))
  const { items, rest } = readPage(request, keys, { initial: 100, most: 1000, pageSize })
  return {
    Keys: items.filter((key) => isVisible(key)).map((key) => ({ KeyId: key.id, KeyArn: key.arn })),
    ...rest,
  }
}

function listResourceTags(account: Account, request: Request): unknown {
  const tags = [...requireKey(account, request).tags]
  const { items, rest } = readPage(request, tags, {
    initial: 50,
    most: 50,
    pageSize: account.pageSize,
  })
  return { Tags: items.map(([TagKey, TagValue]) => ({ TagKey, TagValue })), ...rest }
}

function tagResource(account: Account, request: Request): unknown {
  const key = requireKey(account, request)
  requireNotPending(key)
  for (const [name, value] of readTags(request)) key.tags.set(name, value)
  return {}
}

function requireNotPending(key: EmulatedKey): void {
  if (key.state === 'PendingDeletion') requireEnabled(key)
}

function scheduleKeyDeletion(account: Account, request: Request): unknown {
  const key = requireKey(account, request)
  const days = readBoundedInteger(request, 'PendingWindowInDays', 30, 7, 30)
  requireNotPending(key)
  key.state = 'PendingDeletion'
  key.deletionDate = new Date(Date.now() + days * 86_400_000)
  return {
    KeyId: key.arn,
    DeletionDate: key.deletionDate.getTime() / 1000,
    KeyState: key.state,
    PendingWindowInDays: days,
  }
}

function cancelKeyDeletion(account: Account, request: Request): unknown {
  const key = requireKey(account, request)
  if (key.state !== 'PendingDeletion') {
    throw new KmsEmulatorError('KMSInvalidStateException', `${key.arn} is not pending deletion.`)
  }
  // KMS leaves the key disabled after a cancelled deletion.
  key.state = 'Disabled'
  key.deletionDate = undefined
  return { KeyId: key.arn }
}

function setEnabled(state: 'Enabled' | 'Disabled'): Operation {
  return (account, request) => {
    const key = requireKey(account, request)
    requireNotPending(key)
    key.state = state
    return {}
  }
}

function readAlias(request: Request): string {
  const name = readText(request, 'AliasName') ?? ''
  if (!/^alias\/(?!aws\/)[a-zA-Z0-9/_-]{1,250}$/.test(name)) {
    throw new KmsEmulatorError('ValidationException', `Alias '${name}' must be alias/ and a name`)
  }
  return name
}

function createAlias(account: Account, request: Request): unknown {
  const { aliases } = account.store
  const name = readAlias(request)
  const keyId = readText(request, 'TargetKeyId') ?? ''
  if (aliases.has(name)) {
    throw new KmsEmulatorError('AlreadyExistsException', `An alias with the name ${name} exists`)
  }
  const key = findKey(account.store, keyId, false)
  requireNotPending(key)
  aliases.set(name, key.id)
  return {}
}

function listAliases({ store, pageSize }: Account, request: Request): unknown {
  const { items, rest } = readPage(request, [...store.aliases], {
    initial: 50,
    most: 100,
    pageSize,
  })
  return {
    Aliases: items.map(([name, id]) => ({
      AliasName: name,
      AliasArn: store.arnPrefix + name,
      TargetKeyId: id,
    })),
    ...rest,
  }
}

function deleteAlias({ store }: Account, request: Request): unknown {
  const name = readAlias(request)
  if (!store.aliases.delete(name)) {
    throw new KmsEmulatorError('NotFoundException', `Alias ${store.arnPrefix}${name} is not found.`)
  }
  return {}
}

const describeKey: Operation = (account, request) => ({
  KeyMetadata: describe(account.store, requireKey(account, request, true)),
})

/** Every operation of the emulator, by its AWS name. */
export const OPERATIONS: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ['CancelKeyDeletion', cancelKeyDeletion],
  ['CreateAlias', createAlias],
  ['CreateKey', createKey],
  ['DeleteAlias', deleteAlias],
  ['DescribeKey', describeKey],
  ['DisableKey', setEnabled('Disabled')],
  ['EnableKey', setEnabled('Enabled')],
  ['GetPublicKey', getPublicKey],
  ['ListAliases', listAliases],
  ['ListKeys', listKeys],
  ['ListResourceTags', listResourceTags],
  ['ScheduleKeyDeletion', scheduleKeyDeletion],
  ['Sign', sign],
  ['TagResource', tagResource],
])
