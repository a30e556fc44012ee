import type { CallOptions } from '../csr/signing-key.ts'
import { KeystayError } from '../errors.ts'
import type { BackendCapabilities, KeyBackend } from '../key/backend.ts'
import type { KeyRow, Store } from '../store/store.ts'

/** Opens a backend by an address that was remembered: `openBackend` of `keystay/backends`. */
export type OpenBackend = (address: string) => Promise<KeyBackend>

export interface BackendSetParts {
  readonly current: KeyBackend
  readonly others: readonly KeyBackend[]
  readonly open: OpenBackend | undefined
  readonly store: Store
}

/**
 * All backends that hold keys of a store: the one for new keys, those given beside it, and those
 * that the store remembers from earlier, opened when a key of theirs is first needed.
 */
export class BackendSet {
  readonly #parts: BackendSetParts
  readonly #opened = new Map<string, Promise<KeyBackend>>()
  #capabilities: Promise<BackendCapabilities> | undefined
  #remembered: Promise<void> | undefined

  constructor(parts: BackendSetParts) {
    this.#parts = parts
  }

  /** For new keys. */
  get current(): KeyBackend {
    return this.#parts.current
  }

  /** What the current backend can do; asked once. */
  async capabilities({ signal }: CallOptions = {}): Promise<BackendCapabilities> {
    this.#capabilities ??= this.current.capabilities()
    try {
      return await this.#capabilities
    } catch (error) {
      this.#capabilities = undefined
      throw error
    } finally {
      signal?.throwIfAborted()
    }
  }

  /** Sees to it that the keys about to be made will be found again under another configuration. */
  async remember(): Promise<void> {
    const { current, others, store } = this.#parts
    this.#remembered ??= Promise.all(
      [current, ...others].map(async ({ uri, address }) => {
        if (address !== undefined) await store.rememberBackend({ uri, address })
      }),
    ).then(() => undefined)
    try {
      await this.#remembered
    } catch (error) {
      this.#remembered = undefined
      throw error
    }
  }

  /**
   * Does something with the backend that holds a key.
   * @throws {KeystayError} `backend_unknown`, and what the backend throws
   */
  async withBackendOf<Result>(
    { backend, uri }: Pick<KeyRow, 'backend' | 'uri'>,
    work: (backend: KeyBackend) => Promise<Result>,
  ): Promise<Result> {
    const { current, others } = this.#parts
    const given = [current, ...others]
    const exact = given.find((candidate) => candidate.uri === backend)
    if (exact !== undefined) return work(exact)
    // The same device under another name, for instance a keyring that was moved: it knows its keys.
    const scheme = backend.slice(0, backend.indexOf(':'))
    for (const candidate of uri === undefined ? [] : given) {
      if (candidate.scheme !== scheme) continue
      if (await hasKey(candidate, uri ?? '')) return work(candidate)
    }
    return work(await this.#openRemembered(backend))
  }

  async #openRemembered(uri: string): Promise<KeyBackend> {
    let opening = this.#opened.get(uri)
    if (opening === undefined) {
      opening = this.#open(uri)
      this.#opened.set(uri, opening)
      opening.catch(() => this.#opened.delete(uri))
    }
    return opening
  }

  async #open(uri: string): Promise<KeyBackend> {
    const { open, store } = this.#parts
    const address = await store.backendAddress(uri)
    if (open === undefined || address === undefined) {
      throw new KeystayError(
        'backend_unknown',
        `the key is in ${uri}, which is not open here; give the service that backend in \`backends\`${open === undefined ? ', or `openBackend`' : ''}`,
      )
    }
    const backend = await open(address)
    if (backend.uri === uri) return backend
    await backend.close()
    throw new KeystayError(
      'backend_unknown',
      `the key is in ${uri}, but what is reached today in the same way is ${backend.uri}; give the service the right backend in \`backends\``,
    )
  }

  /** Closes what was opened here; what was given belongs to the giver. */
  async close(): Promise<void> {
    const opening = [...this.#opened.values()]
    this.#opened.clear()
    for (const opened of await Promise.allSettled(opening)) {
      if (opened.status === 'fulfilled') await opened.value.close()
    }
  }
}

/** Whether a key is in a backend, usable or not. */
async function hasKey(backend: KeyBackend, uri: string): Promise<boolean> {
  try {
    await backend.getKey(uri)
    return true
  } catch (error) {
    if (!(error instanceof KeystayError)) throw error
    return error.code !== 'key_uri_foreign' && error.code !== 'key_not_found'
  }
}
