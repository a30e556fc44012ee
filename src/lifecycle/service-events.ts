import { EventEmitter } from 'node:events'
import type { Scope } from '../store/store.ts'
import type { CustomCsr } from './custom-csr.ts'

/** What a service tells those who listen, once it is stored. */
export interface ServiceEvents {
  'custom_csr.created': { readonly customCsr: CustomCsr; readonly actor: string }
  'custom_csr.deleted': { readonly scope: Scope; readonly id: string; readonly actor: string }
  /** The device has answered that the key is no more. */
  'key.destroyed': { readonly keyId: string; readonly uri: string | undefined }
  /** The device destroys the key at that date of its own accord. */
  'key.destruction_scheduled': {
    readonly keyId: string
    readonly uri: string | undefined
    readonly at: Date
  }
}

export type ServiceEventName = keyof ServiceEvents
export type ServiceListener<Name extends ServiceEventName> = (event: ServiceEvents[Name]) => void

/** Tells listeners; what one of them throws stays its own problem. */
export class ServiceEmitter {
  readonly #emitter = new EventEmitter()
  readonly #onError: (error: unknown) => void

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
    this.#emitter.setMaxListeners(0)
  }

  /** @returns ends the listening */
  on<Name extends ServiceEventName>(name: Name, listener: ServiceListener<Name>): () => void {
    const guarded = (event: ServiceEvents[Name]): void => {
      try {
        // A listener that turns out to be async must not end the process by its rejection.
        const result = (listener as (event: ServiceEvents[Name]) => unknown)(event)
        if (result instanceof Promise) result.catch(this.#onError)
      } catch (error) {
        this.#onError(error)
      }
    }
    this.#emitter.on(name, guarded)
    return () => this.#emitter.off(name, guarded)
  }

  emit<Name extends ServiceEventName>(name: Name, event: ServiceEvents[Name]): void {
    this.#emitter.emit(name, event)
  }
}
