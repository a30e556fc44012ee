import type { DiagnosisStep } from '../../src/key/backend.ts'
import { attempt } from './attempt.ts'
import type { WebCryptoBackendOptions } from './index.ts'
import { supportedKeyTypes } from './key-types.ts'
import { parseWebCryptoUri } from './uri.ts'

/**
 * Says step by step whether a `webcrypto:` URI works: the runtime, the directory and who can enter
 * it, the secret, the keyring, its keys. Creates nothing.
 */
export async function* diagnoseWebCrypto(
  uri: string,
  { secret, signal }: WebCryptoBackendOptions = {},
): AsyncGenerator<DiagnosisStep, void> {
  const parsed = await attempt(
    'URI',
    () => parseWebCryptoUri(uri),
    ({ directory }) => (directory === undefined ? 'in memory' : `a keyring in ${directory}`),
  )
  yield parsed.step
  if (parsed.value === undefined) return
  signal?.throwIfAborted()
  const runtime = await attempt('WebCrypto', supportedKeyTypes, (types) => types.join(', '))
  yield runtime.step
  const { directory, secretSource } = parsed.value
  if (directory === undefined) return
  const { diagnoseDirectory } = await import('./diagnose-directory.ts')
  yield* diagnoseDirectory({ directory, secretSource, secret }, signal)
}
