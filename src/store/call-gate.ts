import { KeystayError } from '../errors.ts'

/** What every call to a store passes through, so that closing can wait for it. */
export interface CallGate {
  /** @throws {KeystayError} `store_closed` */
  run<Result>(call: () => Promise<Result>): Promise<Result>
  /** Lets nobody in any more and waits until the last one is out. Idempotent. */
  close(): Promise<void>
}

/** A gate that is open. @param uri the store's, for messages */
export function createCallGate(uri: string): CallGate {
  let inside = 0
  let closed: PromiseWithResolvers<void> | undefined
  const leave = (): void => {
    inside--
    if (inside === 0) closed?.resolve()
  }
  return {
    async run(call) {
      if (closed !== undefined) {
        throw new KeystayError('store_closed', `the store ${uri} has been closed; open it again`)
      }
      inside++
      try {
        return await call()
      } finally {
        leave()
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
