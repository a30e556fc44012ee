import type { Logger } from 'pino'
import type { Reconciliation } from '../../lifecycle/index.ts'

const EVERY_MS = 60_000

/** Finishes what crashes have left: now, and again every minute until it is stopped. */
export function reconcileRegularly(
  service: { reconcile(): Promise<Reconciliation> },
  log: Logger,
): { stop(): Promise<void> } {
  let running: Promise<void> | undefined
  const run = async (): Promise<void> => {
    try {
      const { finished, failed } = await service.reconcile()
      if (finished.length > 0) log.info({ keys: finished }, 'leftovers finished')
      for (const { keyId, error } of failed) {
        log.warn(
          { key_id: keyId, err: error },
          'a leftover could not be finished; tried again later',
        )
      }
    } catch (error) {
      log.error({ err: error }, 'reconciling failed; tried again later')
    }
  }
  const start = (): void => {
    running ??= run().finally(() => {
      running = undefined
    })
  }
  start()
  const timer = setInterval(start, EVERY_MS).unref()
  return {
    stop: async () => {
      clearInterval(timer)
      await running
    },
  }
}
