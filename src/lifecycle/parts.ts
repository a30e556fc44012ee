import type { Store } from '../store/store.ts'
import type { BackendSet } from './backend-set.ts'
import type { ServiceEmitter } from './service-events.ts'
import type { Instruments } from './telemetry.ts'

/** What every piece of the service's work is given. */
export interface ServiceParts {
  readonly store: Store
  readonly backends: BackendSet
  readonly emitter: ServiceEmitter
  readonly instruments: Instruments
  /** Of what nobody waits for. */
  readonly onError: (error: unknown) => void
}
