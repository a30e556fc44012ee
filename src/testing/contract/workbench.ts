import assert from 'node:assert/strict'
import type { KeyType } from '../../csr/algorithms.ts'
import { KeystayError, type ErrorCode } from '../../errors.ts'
import type { BackendCapabilities, BackendKey, KeyBackend } from '../../key/backend.ts'

/** What a case works with. Keys that were made here are destroyed when the case is over. */
export interface Workbench {
  readonly backend: KeyBackend
  readonly capabilities: BackendCapabilities
  /** The key type to use where any will do. */
  readonly anyKeyType: KeyType
  /** A label that nobody has used. */
  label(): string
  /** Generates a key, of any type unless one is named. */
  generate(options?: GenerateOptions): Promise<BackendKey>
  /** Sees to it that a key made in another way is destroyed too. */
  adopt(key: BackendKey): BackendKey
  /** Opens the backend once more. */
  reopen(): Promise<KeyBackend>
}

/** What a backend is held to, by name. */
export type Cases = Readonly<Record<string, (bench: Workbench) => Promise<void>>>

/** What key to generate. */
export interface GenerateOptions {
  readonly keyType?: KeyType
  readonly label?: string
}

/** Thrown by a case that cannot be tried on this backend. */
export class NotSupported extends Error {}

/** Ends a case that this backend cannot be held to. */
export function notSupported(reason: string): never {
  throw new NotSupported(reason)
}

/** How a case ended, unless it failed. */
export type ContractOutcome =
  { readonly status: 'passed' } | { readonly status: 'not-supported'; readonly reason: string }

/** Short, and cheap to make on every device. */
const CHEAP: readonly KeyType[] = ['p256v1', 'p384', 'ed25519', 'p521', 'rsa2048']

/** Runs a case on a backend of its own, and leaves no key and no session behind. */
export async function onWorkbench(
  open: () => Promise<KeyBackend>,
  labelPrefix: string,
  work: (bench: Workbench) => Promise<void>,
): Promise<ContractOutcome> {
  const opened: KeyBackend[] = []
  const made = new Set<string>()
  const reopen = async (): Promise<KeyBackend> => {
    const backend = await open()
    opened.push(backend)
    return backend
  }
  const cleanUp = async (): Promise<void> => {
    if (made.size > 0) await destroyAll(made, (await firstOpen(opened)) ?? (await reopen()))
    await Promise.all(opened.map((backend) => backend.close()))
  }
  try {
    await work(await prepare(await reopen(), labelPrefix, reopen, made))
  } catch (error) {
    // What went wrong first is what matters.
    await cleanUp().catch(() => undefined)
    if (error instanceof NotSupported) return { status: 'not-supported', reason: error.message }
    throw error
  }
  await cleanUp()
  return { status: 'passed' }
}

async function prepare(
  backend: KeyBackend,
  labelPrefix: string,
  reopen: Workbench['reopen'],
  made: Set<string>,
): Promise<Workbench> {
  const capabilities = await backend.capabilities()
  const { keyTypes } = capabilities
  const anyKeyType = CHEAP.find((keyType) => keyTypes.includes(keyType)) ?? keyTypes[0]
  assert.ok(anyKeyType, 'capabilities().keyTypes names no key type at all')
  const newLabel = (): string => `${labelPrefix}${crypto.randomUUID().slice(0, 8)}`
  const adopt = (key: BackendKey): BackendKey => {
    made.add(key.uri)
    return key
  }
  return {
    ...{ backend, capabilities, anyKeyType, label: newLabel, adopt, reopen },
    generate: async ({ keyType = anyKeyType, label = newLabel() } = {}) =>
      adopt(await backend.generateKey(keyType, { label })),
  }
}

async function firstOpen(backends: readonly KeyBackend[]): Promise<KeyBackend | undefined> {
  for (const backend of backends) {
    const open = await backend.capabilities().then(
      () => true,
      () => false,
    )
    if (open) return backend
  }
  return undefined
}

async function destroyAll(uris: ReadonlySet<string>, backend: KeyBackend): Promise<void> {
  for (const uri of uris) {
    await backend.destroyKey(uri).catch((error: unknown) => {
      if (!(error instanceof KeystayError) || error.code !== 'key_not_found') throw error
    })
  }
}

/** Asserts that a call rejects with a `KeystayError` of one of these codes (of any, if none). */
export async function rejects(
  call: Promise<unknown>,
  what: string,
  ...codes: readonly ErrorCode[]
): Promise<void> {
  const expected = codes.length === 0 ? 'a KeystayError' : codes.join(' or ')
  let outcome: unknown
  try {
    outcome = await call
  } catch (error) {
    if (!(error instanceof KeystayError)) {
      assert.fail(`${what}: rejects with ${String(error)}, and should with ${expected}`)
    }
    if (codes.length === 0 || codes.includes(error.code)) return
    assert.fail(
      `${what}: rejects with ${error.code} (${error.message}), and should with ${expected}`,
    )
  }
  assert.fail(`${what}: answers ${typeof outcome}, and should reject with ${expected}`)
}

/** Every item of an asynchronous iterable. */
export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = []
  for await (const item of items) collected.push(item)
  return collected
}
