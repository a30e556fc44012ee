import type { CallOptions } from '../../src/csr/signing-key.ts'
import { addressOf } from '../../src/key/uri.ts'
import { WebCryptoBackend } from './backend.ts'
import { diagnoseWebCrypto } from './diagnose.ts'
import { createMemoryKeyring } from './memory-keyring.ts'
import { acceptSuppliedKey, type SuppliedKey } from './supplied-key.ts'
import { parseWebCryptoUri } from './uri.ts'

export { diagnoseWebCrypto }
export type { WebCryptoBackend } from './backend.ts'
export type { SuppliedKey } from './supplied-key.ts'

/** What a `webcrypto:` URI cannot say. */
export interface WebCryptoBackendOptions extends CallOptions {
  /** The secret of a keyring on disk, instead of `secret-source` in the URI. */
  readonly secret?: string | Uint8Array | undefined
  /** Keys made elsewhere, to be used beside those that `webcrypto:` (in memory) generates. */
  readonly keys?: readonly SuppliedKey[] | undefined
}

/**
 * Opens `webcrypto:` (in memory, in any runtime) or `webcrypto:<directory>?secret-source=…` (a
 * keyring on disk, made where there is none).
 * @throws {KeystayError} `uri_invalid`, `secret_source_*`, `keyring_*`, `crypto_key_invalid`,
 *   `backend_unavailable`, …
 */
export async function openWebCryptoBackend(
  uri: string,
  options: WebCryptoBackendOptions = {},
): Promise<WebCryptoBackend> {
  const { directory, secretSource } = parseWebCryptoUri(uri)
  const { secret, keys, signal } = options
  signal?.throwIfAborted()
  const diagnose = (): ReturnType<typeof diagnoseWebCrypto> => diagnoseWebCrypto(uri, { secret })
  if (directory === undefined) {
    if (secret !== undefined) throw new TypeError('the option secret is for a keyring on disk only')
    const supplied = await Promise.all((keys ?? []).map(acceptSuppliedKey))
    return new WebCryptoBackend(await createMemoryKeyring(supplied), undefined, diagnose)
  }
  if (keys !== undefined) throw new TypeError('the option keys is for webcrypto: in memory only')
  // Loaded only here, because it needs Node: what is above runs anywhere.
  const { openDirectoryKeyring } = await import('./directory-keyring.ts')
  const keyring = await openDirectoryKeyring({ directory, secretSource, secret })
  return new WebCryptoBackend(keyring, addressOf(uri), diagnose)
}
