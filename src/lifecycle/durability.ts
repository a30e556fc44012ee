import { KeystayError } from '../errors.ts'
import type { KeyBackend } from '../key/backend.ts'
import type { Store } from '../store/store.ts'

/**
 * A CSR that is remembered must not outlive its key.
 * @throws {KeystayError} `backend_not_durable`
 */
export function checkDurability(
  { uri }: Pick<KeyBackend, 'uri'>,
  isDurable: boolean,
  store: Pick<Store, 'uri' | 'durable'>,
): void {
  if (isDurable || !store.durable) return
  throw new KeystayError(
    'backend_not_durable',
    `a key in ${uri} dies with this process, but its CSR would stay in ${store.uri}; use a keyring on disk, a token or a KMS, or for a try the store sqlite::memory:`,
  )
}
