import type { Handle } from './driver.ts'
import type { KeyQuery } from './operation-types.ts'

/** Some 100 bytes each. More keys than this in use at once have to be searched for again. */
const MOST_HANDLES = 16_384

function cacheKey(query: KeyQuery): string {
  return 'id' in query ? Buffer.from(query.id).toString('hex') : `label ${query.label}`
}

/**
 * Handles of private keys, by what they were found by: a search costs more the more keys a token
 * holds. The longest unused ones are forgotten first. All die with the login.
 */
export class HandleCache {
  readonly #handles = new Map<string, Promise<Handle>>()

  /** @param stale the handle that proved dead, which nobody shall get any more */
  get(
    query: KeyQuery,
    stale: Promise<Handle> | undefined,
    find: () => Promise<Handle>,
  ): Promise<Handle> {
    const key = cacheKey(query)
    const known = this.#handles.get(key)
    if (known !== undefined && known !== stale) {
      this.#put(key, known)
      return known
    }
    const handle = find()
    this.#put(key, handle)
    handle.catch(() => {
      if (this.#handles.get(key) === handle) this.#handles.delete(key)
    })
    return handle
  }

  set(query: KeyQuery, handle: Handle | undefined): void {
    const key = cacheKey(query)
    this.#handles.delete(key)
    if (handle !== undefined) this.#put(key, Promise.resolve(handle))
  }

  clear(): void {
    this.#handles.clear()
  }

  #put(key: string, handle: Promise<Handle>): void {
    this.#handles.delete(key)
    this.#handles.set(key, handle)
    if (this.#handles.size <= MOST_HANDLES) return
    const [oldest] = this.#handles.keys()
    if (oldest !== undefined) this.#handles.delete(oldest)
  }
}
