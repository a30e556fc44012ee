/** Waits for a result, or until the signal is aborted: then rejects with the signal's reason. */
export async function waitFor<Result>(
  result: Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  if (signal === undefined) return result
  const aborted = Promise.withResolvers<never>()
  const abort = (): void => {
    aborted.reject(signal.reason as Error)
  }
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([aborted.promise, result])
  } finally {
    signal.removeEventListener('abort', abort)
    // Nobody waits for it any more, so nobody would handle it.
    result.catch(() => undefined)
  }
}
