import { KeystayError } from '../../src/errors.ts'
import type { DiagnosisStep } from '../../src/key/backend.ts'
import type { WebCryptoBackendOptions } from './index.ts'
import { supportedKeyTypes } from './key-types.ts'
import { parseWebCryptoUri } from './uri.ts'

/** A step that was taken, and what it led to unless it failed. */
interface Attempt<Value> {
  readonly step: DiagnosisStep
  readonly value: Value | undefined
}

/** Takes a step: an expected failure is what a diagnosis is there to find. */
export async function attempt<Value>(
  name: string,
  action: () => Value | Promise<Value>,
  describe: (value: Value) => string,
): Promise<Attempt<Value>> {
  try {
    const value = await action()
    return { step: { name, status: 'ok', detail: describe(value) }, value }
  } catch (error) {
    if (!(error instanceof KeystayError)) throw error
    // Our messages say what is wrong and, behind a semicolon, what would be right.
    const [detail = '', ...remedy] = error.message.split('; ')
    const step: DiagnosisStep = { name, status: 'failed', detail }
    return {
      step: remedy.length === 0 ? step : { ...step, remedy: remedy.join('; ') },
      value: undefined,
    }
  }
}

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
