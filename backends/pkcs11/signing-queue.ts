import type { SignJob, SignOutcome } from './operation-types.ts'
import { createReturnValueError } from './return-values.ts'
import type { SessionPool } from './session-pool.ts'

interface QueuedJob {
  readonly job: SignJob
  /** Whether the last session tried with was dead, so that this one must be new. */
  readonly renew: boolean
  readonly signal: AbortSignal
  readonly resolve: (signature: Uint8Array) => void
  readonly reject: (error: unknown) => void
}

/** Signatures made in one visit to a session's thread, at most. */
const MOST_PER_VISIT = 8

/**
 * Signatures that wait for a session. When more wait than there are sessions, a session takes
 * several at once: what a visit to another thread costs is then shared.
 */
export class SigningQueue {
  readonly #pool: SessionPool
  readonly #jobs: QueuedJob[] = []
  #visits = 0

  constructor(pool: SessionPool) {
    this.#pool = pool
  }

  /** The raw signature. Rejects with the module's return value, or at the signal. */
  sign(job: SignJob, signal: AbortSignal, renew: boolean): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#jobs.push({ job, signal, renew, resolve, reject })
      this.#visit()
    })
  }

  #visit(): void {
    if (this.#jobs.length === 0 || this.#visits >= this.#pool.limit) return
    this.#visits++
    void this.#runVisit().finally(() => {
      this.#visits--
      this.#visit()
    })
  }

  /** What the next visit takes: a fair share, so that no session idles at the end of a burst. */
  #take(): QueuedJob[] {
    const share = Math.ceil(this.#jobs.length / this.#pool.limit)
    return this.#jobs.splice(0, Math.min(share, MOST_PER_VISIT)).filter((queued) => {
      if (queued.signal.aborted) queued.reject(queued.signal.reason)
      return !queued.signal.aborted
    })
  }

  async #runVisit(): Promise<void> {
    let taken: QueuedJob[] = []
    try {
      const thread = await this.#pool.acquire(undefined)
      taken = this.#take()
      if (taken.length === 0) {
        this.#pool.release(thread)
        return
      }
      try {
        if (taken.some(({ renew }) => renew)) await this.#pool.renew(thread)
        const outcomes = await thread.call(
          'sign',
          taken.map(({ job }) => job),
        )
        if (outcomes.every((outcome) => 'signature' in outcome)) this.#pool.release(thread)
        else void this.#pool.discard(thread)
        this.#settle(taken, outcomes)
      } catch (error) {
        void this.#pool.discard(thread)
        throw error
      }
    } catch (error) {
      if (taken.length === 0) taken = this.#take()
      for (const { reject } of taken) reject(error)
    }
  }

  #settle(taken: readonly QueuedJob[], outcomes: readonly SignOutcome[]): void {
    for (const [index, queued] of taken.entries()) {
      const outcome = outcomes[index]
      if (outcome !== undefined && 'signature' in outcome) queued.resolve(outcome.signature)
      else if (outcome !== undefined && 'ckr' in outcome) {
        queued.reject(createReturnValueError(outcome.ckr))
      } else this.#jobs.unshift(queued)
    }
  }
}
