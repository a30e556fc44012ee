import assert from 'node:assert/strict'
import type {
  CreationStart,
  CsrRow,
  FinishedCreation,
  Lease,
  NewKey,
  Scope,
  Store,
} from '../../store/store.ts'
import { NotSupported, type ContractOutcome } from '../contract/workbench.ts'

/**
 * Writes a certificate for a CSR, and hostnames that use it, as another part of the platform would:
 * the seam has no call for it yet. Rejects where the database refuses.
 */
export type BindHostnames = (csr: CsrRow, hostnames: readonly string[]) => Promise<void>

/** What a case works with. The scope is its own. */
export interface StoreBench {
  readonly store: Store
  readonly scope: Scope
  readonly bind: BindHostnames | undefined
  /** Opens the store once more. */
  readonly reopen: () => Promise<Store>
}

/** What a store is held to, by name. */
export type StoreCases = Readonly<Record<string, (bench: StoreBench) => Promise<void>>>

/** A scope that nobody has used. */
export function newScope(kind: Scope['kind'] = 'zone'): Scope {
  return { kind, id: crypto.randomUUID().replaceAll('-', '') }
}

/** Runs a case, and closes what it opened. */
export async function onStoreBench(
  open: () => Promise<Store>,
  bind: BindHostnames | undefined,
  work: (bench: StoreBench) => Promise<void>,
): Promise<ContractOutcome> {
  const opened: Store[] = []
  const reopen = async (): Promise<Store> => {
    const store = await open()
    opened.push(store)
    return store
  }
  try {
    await work({ store: await reopen(), scope: newScope(), bind, reopen })
  } catch (error) {
    if (error instanceof NotSupported) return { status: 'not-supported', reason: error.message }
    throw error
  } finally {
    await Promise.all(opened.map((store) => store.close()))
  }
  return { status: 'passed' }
}

/** A lease of somebody's, that lasts. */
export function newLease(owner: string = crypto.randomUUID(), forMs = 60_000): Lease {
  return { owner, until: new Date(Date.now() + forMs) }
}

/** What to create; each key is a new one. */
export function newKey(scope: Scope, changes: Partial<NewKey> = {}): NewKey {
  const id = crypto.randomUUID()
  return {
    key: { id, label: `keystay:${id}`, backend: 'contract:', keyType: 'p256v1' },
    scope,
    lease: newLease(),
    now: new Date(),
    ...changes,
  }
}

/** What {@link finish} may be told otherwise. */
export type CsrChanges = Partial<Omit<FinishedCreation['csr'], 'scope'>>

/** How a creation that began would be completed. */
export function finish({ key, scope, lease }: NewKey, changes: CsrChanges = {}): FinishedCreation {
  const createdAt = changes.createdAt ?? new Date()
  const id = changes.id ?? crypto.randomUUID()
  return {
    keyId: key.id,
    owner: lease.owner,
    key: {
      uri: `contract:${key.id}`,
      publicKey: crypto.getRandomValues(new Uint8Array(91)),
      attestation: {
        level: 'software',
        backend: 'contract',
        claims: { text: 'a', number: 1, yes: true, unknown: null },
        concerns: ['it is only a test'],
        evidence: { format: 'test', data: crypto.getRandomValues(new Uint8Array(40)) },
        observedAt: new Date(),
      },
    },
    csr: {
      accountTag: undefined,
      name: undefined,
      description: undefined,
      subject: {
        country: 'US',
        state: 'MA',
        locality: 'Boston',
        organization: 'City of Boston',
        commonName: 'app.contract.example',
      },
      sans: ['app.contract.example'],
      csr: '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n',
      ...changes,
      id,
      scope,
      createdAt,
    },
    event: {
      type: 'custom_csr.created',
      scope,
      actor: 'contract',
      at: createdAt,
      csrId: id,
      keyId: key.id,
    },
  }
}

/** Begins a creation that nothing speaks against. */
export async function begin(
  store: Store,
  scope: Scope,
  changes: Partial<NewKey> = {},
): Promise<NewKey> {
  const creation = newKey(scope, changes)
  isState(await store.beginCreation(creation), 'begun')
  return creation
}

/** Creates a CSR. */
export async function create(
  store: Store,
  scope: Scope,
  changes: CsrChanges = {},
  keyChanges: Partial<NewKey> = {},
): Promise<CsrRow> {
  const creation = await begin(store, scope, keyChanges)
  const row = await store.completeCreation(finish(creation, changes))
  assert.ok(row, 'completeCreation answers nothing, though the lease is the owner’s')
  return row
}

/** Deletes a CSR. */
export function remove(
  store: Store,
  scope: Scope,
  id: string,
  lease: Lease = newLease(),
): ReturnType<Store['deleteCsr']> {
  const event = {
    type: 'custom_csr.deleted',
    scope,
    actor: 'contract',
    at: new Date(),
    csrId: id,
  }
  return store.deleteCsr(scope, id, { lease, event })
}

/** Asserts in which state a creation is. */
export function isState<State extends CreationStart['state']>(
  start: CreationStart,
  state: State,
): asserts start is Extract<CreationStart, { readonly state: State }> {
  assert.equal(start.state, state, `beginCreation answers ${start.state}, and should ${state}`)
}

/** How many CSRs a scope has, by its list. */
export async function countOf(store: Store, scope: Scope): Promise<number> {
  const query = { orderBy: 'created_at', direction: 'asc', offset: 0, limit: 1 } as const
  return (await store.listCsrs(scope, query)).total
}

/** Does a thing many times at once, in turn on each store. */
export function atOnce<Result>(
  times: number,
  stores: readonly Store[],
  work: (store: Store, index: number) => Promise<Result>,
): Promise<Result[]> {
  return Promise.all(
    Array.from({ length: times }, (_, index) => {
      const store = stores[index % stores.length]
      assert.ok(store)
      return work(store, index)
    }),
  )
}

/** The store, and beside it the same opened again, where that is possible. */
export async function twoStores({ store, reopen }: StoreBench): Promise<readonly Store[]> {
  return store.durable ? [store, await reopen()] : [store]
}

/** A short time long ago of a case's own, so that nobody else's rows are in it. */
export function ownPast(): { at(offsetMs: number): Date } {
  const start = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0
  return { at: (offsetMs) => new Date(start * 100 + offsetMs) }
}
