import { openBackend } from '../../backends/index.ts'
import type { KeyBackend } from '../../src/key/backend.ts'
import { CustomCsrService, type CustomCsrServiceOptions } from '../../src/lifecycle/index.ts'
import { openStore } from '../../src/store/index.ts'
import type { Store } from '../../src/store/store.ts'

export interface TestBench extends AsyncDisposable {
  readonly backend: KeyBackend
  readonly store: Store
  readonly service: CustomCsrService
  /** What reached `onError`. */
  readonly errors: unknown[]
}

/** A service in memory, unless other parts are given. */
export async function openBench(
  options: Partial<CustomCsrServiceOptions> = {},
): Promise<TestBench> {
  const backend = options.backend ?? (await openBackend('webcrypto:'))
  const store = options.store ?? (await openStore('sqlite::memory:'))
  const errors: unknown[] = []
  const service = new CustomCsrService({
    onError: (error) => errors.push(error),
    ...options,
    backend,
    store,
  })
  const close = async (): Promise<void> => {
    await service.close()
    await store.close()
    await backend.close()
  }
  return { backend, store, service, errors, [Symbol.asyncDispose]: close }
}

/** Something with a few of its methods replaced; the others are its own. */
export function withMethods<Thing extends object>(thing: Thing, methods: Partial<Thing>): Thing {
  return new Proxy(thing, {
    get(target, name) {
      const source = name in methods ? methods : target
      const value: unknown = Reflect.get(source, name, source)
      return typeof value === 'function' ? (value.bind(source) as unknown) : value
    },
  })
}

/** The labels of all keys in a backend. */
export async function labelsIn(backend: KeyBackend): Promise<string[]> {
  const labels: string[] = []
  for await (const { label = '' } of backend.listKeys()) labels.push(label)
  return labels
}
