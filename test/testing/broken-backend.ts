// Loaded by contract.test.ts through `npm run contract -- --module`.
import { openWebCryptoBackend } from '../../backends/webcrypto/index.ts'
import type { KeyBackend } from '../../src/key/backend.ts'

/** A backend that destroys nothing. */
export async function openBackend(): Promise<KeyBackend> {
  const backend = await openWebCryptoBackend('webcrypto:')
  backend.destroyKey = async () => ({ state: 'destroyed' })
  return backend
}
