import type { CallOptions } from '../csr/signing-key.ts'
import { keyTypeFacts } from '../csr/algorithms.ts'
import { KeystayError } from '../errors.ts'
import type { KeyBackend } from '../key/backend.ts'
import { verifySignature } from '../csr/verify-signature.ts'
import type { CsrRow, KeyRow, Scope, Store } from '../store/store.ts'
import { BackendSet, type OpenBackend } from './backend-set.ts'
import {
  checkCsrId,
  checkIdempotencyKey,
  checkInput,
  checkScope,
  type CommonNameRule,
} from './check-input.ts'
import { checkListOptions, checkEventsOptions } from './check-options.ts'
import { createCustomCsr } from './create-custom-csr.ts'
import type {
  CreateOptions,
  CreatedCustomCsr,
  CustomCsr,
  CustomCsrEvent,
  CustomCsrInput,
  CustomCsrList,
  CustomCsrs,
  DeletedCustomCsr,
  EventsOptions,
  ListOptions,
  RequestContext,
  Warning,
} from './custom-csr.ts'
import { destroyKey } from './destroy-key.ts'
import { newLease } from './lease.ts'
import { checkDurability } from './durability.ts'
import type { RefusedNames } from './name-policy.ts'
import type { ServiceParts } from './parts.ts'
import { reconcile, type Reconciliation } from './reconcile.ts'
import { ServiceEmitter, type ServiceEventName, type ServiceListener } from './service-events.ts'
import { createInstruments, observe } from './telemetry.ts'

/** The most custom CSRs of a scope; `undefined` is no limit. */
export type Quota = number | ((scope: Scope) => number | undefined | Promise<number | undefined>)

/** What a {@link CustomCsrService} is made of. */
export interface CustomCsrServiceOptions {
  /** Where new keys are made. Stays the caller's to close. */
  readonly backend: KeyBackend
  /** Where the rows are. Stays the caller's to close. */
  readonly store: Store
  /** Backends with older keys, beside those that the store remembers. */
  readonly backends?: readonly KeyBackend[] | undefined
  /**
   * Opens a backend that the store remembers from an earlier configuration, when a key of it is
   * needed: `openBackend` of `keystay/backends`.
   */
  readonly openBackend?: OpenBackend | undefined
  /** Default: `none`. */
  readonly refuseNames?: RefusedNames | undefined
  /** A common name that is not among the SANs is warned about (default), or added to them. */
  readonly commonName?: CommonNameRule | undefined
  readonly quota?: Quota | undefined
  /** Hears of failures that no caller waits for. Default: they are dropped. */
  readonly onError?: ((error: unknown) => void) | undefined
}

const PROBE = new TextEncoder().encode('keystay: does this key still sign?')

/**
 * Custom CSRs with an id, remembered with their keys: made, shown, listed and deleted, so that no
 * CSR loses its key and no key is left without its CSR.
 *
 * @example
 * ```ts
 * const service = new CustomCsrService({ backend, store: await openStore('sqlite:keystay.db') })
 * const { customCsr } = await service.create({ kind: 'zone', id: 'acme' }, { … })
 * ```
 */
export class CustomCsrService implements CustomCsrs, AsyncDisposable {
  readonly #options: CustomCsrServiceOptions
  readonly #parts: ServiceParts
  readonly #running = new Set<Promise<unknown>>()
  #closed = false

  constructor(options: CustomCsrServiceOptions) {
    const { backend, store, backends = [], openBackend, onError = () => undefined } = options
    this.#options = options
    this.#parts = {
      store,
      backends: new BackendSet({ current: backend, others: backends, open: openBackend, store }),
      emitter: new ServiceEmitter(onError),
      instruments: createInstruments(),
      onError,
    }
  }

  /** Listens to what the service does. @returns ends the listening */
  on<Name extends ServiceEventName>(name: Name, listener: ServiceListener<Name>): () => void {
    return this.#parts.emitter.on(name, listener)
  }

  async create(
    scope: Scope,
    input: CustomCsrInput,
    options: CreateOptions = {},
  ): Promise<CreatedCustomCsr> {
    const { actor = 'library', idempotencyKey, accountTag, signal } = options
    return this.#run(async () => {
      checkScope(scope)
      if (idempotencyKey !== undefined) checkIdempotencyKey(idempotencyKey)
      const { refuseNames = 'none', commonName = 'warn' } = this.#options
      const checked = checkInput(input, { refuseNames, commonName })
      signal?.throwIfAborted()
      await this.#checkBackend(checked.keyType)
      const quota = await this.#quotaOf(scope)
      const { keyType } = checked
      const { row, replayed } = await observe(
        {
          name: 'keystay.custom_csr.create',
          attributes: { 'keystay.key_type': keyType },
          running: this.#parts.instruments.customCsrsCreating,
        },
        () =>
          createCustomCsr(this.#parts, {
            ...{ scope, input: checked, actor, accountTag, idempotencyKey, quota, signal },
          }),
      )
      const customCsr = toCustomCsr(row)
      if (!replayed) this.#parts.emitter.emit('custom_csr.created', { customCsr, actor })
      return { customCsr, replayed, warnings: checked.warnings }
    })
  }

  async get(scope: Scope, id: string, { signal }: CallOptions = {}): Promise<CustomCsr> {
    return this.#run(async () => {
      checkScope(scope)
      const row = await this.#parts.store.getCsr(scope, checkCsrId(id))
      signal?.throwIfAborted()
      if (row === undefined) throw notFound()
      return toCustomCsr(row)
    })
  }

  async list(scope: Scope, options: ListOptions = {}): Promise<CustomCsrList> {
    return this.#run(async () => {
      checkScope(scope)
      const { page, perPage, query } = checkListOptions(options)
      const { rows, total } = await this.#parts.store.listCsrs(scope, query)
      options.signal?.throwIfAborted()
      return {
        items: rows.map(toCustomCsr),
        page,
        perPage,
        totalCount: total,
        totalPages: Math.ceil(total / perPage),
      }
    })
  }

  async delete(
    scope: Scope,
    id: string,
    { actor = 'library', signal }: RequestContext = {},
  ): Promise<DeletedCustomCsr> {
    return this.#run(async () => {
      checkScope(scope)
      const csrId = checkCsrId(id)
      signal?.throwIfAborted()
      const lease = newLease()
      const event = { type: 'custom_csr.deleted', scope, actor, at: new Date(), csrId }
      const deletion = await this.#parts.store.deleteCsr(scope, csrId, { lease, event })
      if (deletion.state === 'not_found') throw notFound()
      if (deletion.state === 'in_use') throw inUse(deletion.hostnames, deletion.count)
      this.#parts.emitter.emit('custom_csr.deleted', { scope, id: csrId, actor })
      const { key } = deletion
      return { warnings: key === undefined ? [] : await this.#destroy(key, lease.owner) }
    })
  }

  async events(
    scope: Scope,
    csrId?: string,
    options: EventsOptions = {},
  ): Promise<readonly CustomCsrEvent[]> {
    return this.#run(async () => {
      checkScope(scope)
      const { store } = this.#parts
      const { after, limit } = checkEventsOptions(options)
      if (csrId === undefined) return store.listEvents(scope, { after, limit })
      const id = checkCsrId(csrId)
      const events = await store.listEvents(scope, { csrId: id, after, limit })
      if (events.length > 0) return events
      const [first] = await store.listEvents(scope, { csrId: id, limit: 1 })
      if (first === undefined) throw notFound()
      return []
    })
  }

  async checkReady({ signal }: CallOptions = {}): Promise<void> {
    return this.#run(async () => {
      const { backends, store } = this.#parts
      await store.ping({ signal })
      const { current } = backends
      const newest = await store.newestKey(current.uri)
      // Without any key yet it must do that the device answers.
      if (newest?.uri === undefined) {
        await current.capabilities({ signal })
        return
      }
      const key = await current.getKey(newest.uri, { publicKey: newest.publicKey, signal })
      const signature = await key.sign(PROBE, undefined, { signal })
      await checkProbe(newest, signature)
    })
  }

  /**
   * Finishes what crashes and silent devices left. To be called at the start and from time to time;
   * many instances may do so at once.
   */
  async reconcile(): Promise<Reconciliation> {
    return this.#run(() => reconcile(this.#parts))
  }

  /** Waits for what is under way, and closes the backends that the service itself opened. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#running)
    await this.#parts.backends.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#closed) {
      throw new KeystayError('service_closed', 'the service has been closed; make a new one')
    }
    const running = work()
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  /** Refuses what the backend cannot make, or what a restart would lose, before any row exists. */
  async #checkBackend(keyType: CsrRow['keyType']): Promise<void> {
    const { backends, store } = this.#parts
    const { durable, keyTypes } = await backends.capabilities()
    if (!keyTypes.includes(keyType)) {
      throw new KeystayError(
        'key_type_unsupported',
        `the backend ${backends.current.uri} makes no ${keyType} keys; use one of ${keyTypes.join(', ')}`,
        { pointer: '/keyType' },
      )
    }
    checkDurability(backends.current, durable, store)
  }

  async #quotaOf(scope: Scope): Promise<number | undefined> {
    const { quota } = this.#options
    return typeof quota === 'function' ? quota(scope) : quota
  }

  /** The CSR is gone already: a device that does not answer now is asked again by `reconcile`. */
  async #destroy(key: KeyRow, owner: string): Promise<readonly Warning[]> {
    try {
      const destruction = await destroyKey(this.#parts, key, owner)
      if (destruction.state === 'destroyed') return []
      const date = destruction.at.toISOString()
      return [
        {
          code: 'key_destruction_scheduled',
          message: `the key is disabled, and the device will destroy it at ${date}`,
        },
      ]
    } catch (error) {
      this.#parts.onError(error)
      return [
        {
          code: 'key_destruction_pending',
          message:
            'the device has not confirmed yet that the key is destroyed; it will be asked again until it does',
        },
      ]
    }
  }
}

async function checkProbe({ keyType, publicKey }: KeyRow, signature: Uint8Array): Promise<void> {
  if (publicKey === undefined) return
  const { signatureAlgorithms } = keyTypeFacts(keyType)
  if (await verifySignature(publicKey, signatureAlgorithms[0], PROBE, signature)) return
  throw new KeystayError(
    'csr_verification_failed',
    'the device answered with a signature that does not verify under the key it was asked for',
  )
}

function toCustomCsr(row: CsrRow): CustomCsr {
  const { id, scope, accountTag, name, description, subject, sans, keyType, csr, createdAt } = row
  const { uri, state, attestation } = row.key
  if (uri === undefined || attestation === undefined) {
    throw new KeystayError('store_failed', `the row of CSR ${id} has no key; run reconcile`)
  }
  return {
    ...{ id, scope, accountTag, name, description, ...subject, sans, keyType, csr, createdAt },
    key: { uri, state, attestation },
  }
}

function notFound(): KeystayError {
  return new KeystayError('custom_csr_not_found', 'there is no custom CSR with this id here')
}

function inUse(hostnames: readonly string[], count: number): KeystayError {
  const named = hostnames.join(', ')
  const rest = count > hostnames.length ? ` and ${count - hostnames.length} more` : ''
  const users = named === '' ? 'a certificate' : `the certificate of ${named}${rest}`
  return new KeystayError(
    'custom_csr_in_use',
    `the key of this custom CSR is in use by ${users}; delete that first`,
  )
}
