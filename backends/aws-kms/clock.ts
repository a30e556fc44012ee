/** Time, for what waits. Tests bring their own. */
export interface Clock {
  /** Milliseconds since 1970; never goes back. */
  now(): number
  /** Resolves after `ms`, or rejects with the signal's reason. */
  delay(ms: number, signal: AbortSignal): Promise<void>
}

/** The time of this machine. */
export const SYSTEM_CLOCK: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  delay: (ms, signal) =>
    new Promise((resolve, reject) => {
      const abort = (): void => {
        clearTimeout(timer)
        // Whatever the caller aborted with is what the caller gets back.
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
        reject(signal.reason)
      }
      const timer = setTimeout(() => {
        signal.removeEventListener('abort', abort)
        resolve()
      }, ms)
      if (signal.aborted) abort()
      else signal.addEventListener('abort', abort, { once: true })
    }),
}

// A tenth more than a second: the first calls take longer to arrive than the later ones.
const WINDOW_MS = 1100

/** Lets at most so many calls begin in any second, in the order in which they ask. */
export interface RateLimiter {
  take(signal: AbortSignal): Promise<void>
}

/** A limiter that remembers when each of the last `perSecond` calls began. */
export function createRateLimiter(perSecond: number, clock: Clock): RateLimiter {
  const begun = new Float64Array(perSecond)
  let oldest = 0
  return {
    async take(signal) {
      const now = clock.now()
      const start = Math.max(now, (begun[oldest] ?? 0) + WINDOW_MS)
      begun[oldest] = start
      oldest = (oldest + 1) % perSecond
      if (start > now) await clock.delay(start - now, signal)
    },
  }
}
