import { KeystayError } from '../../src/errors.ts'

/** What every call to a backend passes through, so that closing can wait for it. */
export interface CallGate {
  /**
   * Refuses a call after closing, or one whose signal has been aborted.
   * @throws {KeystayError} `backend_closed`; the signal's reason
   */
  check(signal: AbortSignal | undefined): void
  /** Makes a call that closing waits for. */
  run<Result>(signal: AbortSignal | undefined, call: () => Promise<Result>): Promise<Result>
  /** Lets nobody in any more and waits until the last one is out. Idempotent. */
  close(): Promise<void>
}

/** A gate that is open. @param uri the backend's, for messages */
export function createCallGate(uri: string): CallGate {
  let inside = 0
  let closed: PromiseWithResolvers<void> | undefined

  const check = (signal: AbortSignal | undefined): void => {
    if (closed !== undefined) {
      throw new KeystayError('backend_closed', `the backend ${uri} has been closed; open it again`)
    }
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
