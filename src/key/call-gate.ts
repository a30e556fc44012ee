import type { KeystayError } from '../errors.ts'

/** What every call to a backend or a store passes through, so that closing can wait for it. */
export interface CallGate {
  /**
   * Refuses a call after closing, or one whose signal has been aborted.
   * @throws {KeystayError} what the gate was made with; the signal's reason
   */
  check(signal: AbortSignal | undefined): void
  /** Makes a call that closing waits for. */
  run<Result>(signal: AbortSignal | undefined, call: () => Promise<Result>): Promise<Result>
  /** Lets nobody in any more and waits until the last one is out. Idempotent. */
  close(): Promise<void>
}

/** A gate that is open. @param refusal what calls after closing are refused with */
export function createCallGate(refusal: () => KeystayError): CallGate {
  let inside = 0
  let closed: PromiseWithResolvers<void> | undefined

  const check = (signal: AbortSignal | undefined): void => {
    if (closed !== undefined) throw refusal()
    signal?.throwIfAborted()
  }
  return {
    check,
    async run(signal, call) {
      check(signal)
      inside++
      try {
        return await call()
      } finally {
        inside--
        if (inside === 0) closed?.resolve()
      }
    },
    async close() {
      if (closed === undefined) {
        closed = Promise.withResolvers()
        if (inside === 0) closed.resolve()
      }
      await closed.promise
    },
  }
}
