import { setImmediate } from 'node:timers/promises'
import { CKR } from './cryptoki.ts'
import { createReturnValueError, returnValueOf } from './return-values.ts'
import type { NativeThread } from './thread.ts'

interface Waiter {
  readonly resolve: (thread: NativeThread) => void
  readonly reject: (error: Error) => void
}

/**
 * The sessions that this thread of the program has with one token, each with a thread of its own.
 * They are opened when they are wanted and stay open: closing the last one would log out, and
 * idle ones that were closed would have to be paid for again.
 */
export class SessionPool {
  readonly #open: () => Promise<NativeThread>
  readonly #idle: NativeThread[] = []
  readonly #waiting: Waiter[] = []
  #limit: number
  #size = 0
  #isOpening = false
  #ended = false

  /** @param open starts a thread that has a session open */
  constructor(open: () => Promise<NativeThread>, limit: number) {
    this.#open = open
    this.#limit = limit
  }

  /** Sessions that are open, being opened, or in the hands of a call that does not return. */
  get size(): number {
    return this.#size
  }

  get limit(): number {
    return this.#limit
  }

  /** Sessions beyond a lower limit are closed when they are given back. */
  set limit(limit: number) {
    this.#limit = limit
  }

  /** Whether it lends no more. */
  get isEnded(): boolean {
    return this.#ended
  }

  /** Lends a session; waits for one where all are lent. */
  acquire(signal: AbortSignal | undefined): Promise<NativeThread> {
    if (this.#ended) return Promise.reject(sessionsEnded())
    const idle = this.#idle.pop()
    if (idle !== undefined) return Promise.resolve(idle)
    const session = this.#wait(signal)
    void this.#grow()
    return session
  }

  /** Takes a healthy session back. */
  release(thread: NativeThread): void {
    // Never the last one that is open: that would log out.
    if (this.#ended || this.#size - Number(this.#isOpening) > this.#limit) {
      void this.#close(thread)
      return
    }
    const waiter = this.#waiting.shift()
    if (waiter === undefined) this.#idle.push(thread)
    else waiter.resolve(thread)
  }

  /** Puts a new session in the place of one whose state is not known. */
  async renew(thread: NativeThread): Promise<void> {
    await thread.call('replaceSession')
  }

  /** Takes back a session on which something failed: an operation may stick to it for ever. */
  async discard(thread: NativeThread): Promise<void> {
    try {
      if (!this.#ended) await this.renew(thread)
      this.release(thread)
    } catch {
      await this.#close(thread)
      void this.#grow()
    }
  }

  /** Closes what is idle now and the rest when it is given back. */
  async end(): Promise<void> {
    this.#ended = true
    this.#rejectWaiting(sessionsEnded())
    await Promise.all(this.#idle.splice(0).map((thread) => this.#close(thread)))
  }

  /**
   * Opens one more session for those who wait. One after the other: a short burst is over before a
   * second thread would have started.
   */
  async #grow(): Promise<void> {
    if (this.#isOpening || this.#waiting.length === 0 || this.#size >= this.#limit) return
    this.#isOpening = true
    this.#size++
    try {
      this.release(await this.#open())
    } catch (error) {
      this.#size--
      // The token may have no more to give: what there is must do.
      if (this.#size === 0) this.#rejectWaiting(error as Error)
      else if (returnValueOf(error) === CKR.SESSION_COUNT) this.#limit = this.#size
      else this.#waiting.shift()?.reject(error as Error)
    }
    // Whoever has just got the session may be done with it at once.
    await setImmediate()
    this.#isOpening = false
    await this.#grow()
  }

  async #close(thread: NativeThread): Promise<void> {
    this.#size--
    try {
      await thread.call('closeSession')
    } catch {
      // The thread is gone, and what it held with it.
    }
    thread.stop()
  }

  #rejectWaiting(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }

  #wait(signal: AbortSignal | undefined): Promise<NativeThread> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
        reject(signal?.reason as Error)
      }
      const waiter: Waiter = {
        resolve: (thread) => {
          signal?.removeEventListener('abort', leave)
          resolve(thread)
        },
        reject: (error: Error) => {
          signal?.removeEventListener('abort', leave)
          reject(error)
        },
      }
      this.#waiting.push(waiter)
      signal?.addEventListener('abort', leave, { once: true })
    })
  }
}

/** Those who still wait begin anew with the sessions that come after. */
function sessionsEnded(): Error {
  return createReturnValueError(CKR.SESSION_CLOSED)
}
