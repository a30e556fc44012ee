import { KeystayError } from '../../src/errors.ts'

/**
 * One call of a caller, who may leave before the device has answered: because of the time, or at
 * the abort of the caller's own signal. What has begun in the module cannot be stopped and ends
 * there.
 */
export class Call {
  /** What is being done, as in `the token did not sign`. */
  readonly what: string
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #outer: AbortSignal | undefined
  readonly #left = Promise.withResolvers<never>()
  readonly #onAbort: () => void

  constructor(what: string, timeoutMs: number, signal: AbortSignal | undefined) {
    this.what = what
    this.#outer = signal
    // Whoever does not wait any more is no unhandled rejection.
    this.#left.promise.catch(() => undefined)
    this.#onAbort = () => {
      this.#leave(signal?.reason)
    }
    this.#timer = setTimeout(() => {
      this.#leave(
        new KeystayError(
          'operation_timeout',
          `${what}: no answer within ${timeoutMs} ms; check the device, or allow it more time with operationTimeoutMs (generateTimeoutMs for new keys)`,
        ),
      )
    }, timeoutMs)
    if (signal?.aborted === true) this.#onAbort()
    else signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Aborts when the caller leaves. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The outcome of the work, or the reason for having left. */
  async race<T>(work: Promise<T>): Promise<T> {
    try {
      return await Promise.race([work, this.#left.promise])
    } finally {
      clearTimeout(this.#timer)
      this.#outer?.removeEventListener('abort', this.#onAbort)
    }
  }

  #leave(reason: unknown): void {
    this.#controller.abort(reason)
    this.#left.reject(reason)
  }
}
