/** The PKCS#11 backend: keys in an HSM, a smart card or SoftHSM. */
import type { DiagnosableBackend, DiagnosisStep } from '../../src/key/backend.ts'
import { failedStep } from '../../src/key/failed-step.ts'
import { addressOf } from '../../src/key/uri.ts'
import { Pkcs11Backend } from './backend.ts'
import { Call } from './call.ts'
import { connect, STEP_NAMES, type Connection } from './connect.ts'
import { toKeystayError } from './failures.ts'
import { DEFAULT_TIMEOUT_MS, type Pkcs11BackendOptions } from './options.ts'

export type { TemplateAttribute } from './driver.ts'
export type { KeyTemplate, TemplateHook, VendorProfile } from './key-template.ts'
export type { Pkcs11BackendOptions } from './options.ts'

/**
 * Opens a token as a backend.
 * @param uri `pkcs11:token=…;serial=…?module-path=…&pin-source=…` (RFC 7512)
 * @throws {KeystayError} `uri_…`, `secret_source_…`, `peer_missing`, `pkcs11_module_…`, `token_…`,
 *   `pin_…`, `backend_unavailable`
 * @example
 * await using backend = await openPkcs11Backend(
 *   'pkcs11:token=prod?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin',
 * )
 */
export async function openPkcs11Backend(
  uri: string,
  options: Pkcs11BackendOptions = {},
): Promise<DiagnosableBackend> {
  const connecting = connectFully(uri, options)
  const { operationTimeoutMs = DEFAULT_TIMEOUT_MS, signal } = options
  const call = new Call('the token was not opened', operationTimeoutMs, signal)
  try {
    const connection = await call.race(connecting)
    return new Pkcs11Backend(connection, addressOf(uri), () => diagnosePkcs11(uri, options))
  } catch (error) {
    // Who has left does not want what may still come.
    connecting.then(
      ({ release }) => release(),
      () => undefined,
    )
    throw error
  }
}

async function connectFully(uri: string, options: Pkcs11BackendOptions): Promise<Connection> {
  const steps = connect(uri, options)
  for (;;) {
    const step = await steps.next()
    if (step.done === true) return step.value
  }
}

/**
 * Goes the way to a token as `openPkcs11Backend` does and says of each step how it went, also where
 * a backend cannot be opened. Never throws for what it finds.
 */
export async function* diagnosePkcs11(
  uri: string,
  options: Pkcs11BackendOptions = {},
): AsyncIterable<DiagnosisStep> {
  const steps = connect(uri, options)
  const { operationTimeoutMs = DEFAULT_TIMEOUT_MS, signal } = options
  const next = (name: string) =>
    new Call(`the module did not get over the step ${name}`, operationTimeoutMs, signal).race(
      steps.next(),
    )
  let connection: Connection | undefined
  try {
    for (const [index, name] of STEP_NAMES.entries()) {
      try {
        const step = await next(name)
        if (step.done !== true) yield { name, ...step.value }
      } catch (error) {
        yield failedStep(name, toKeystayError(error, 'the module failed'))
        for (const skipped of STEP_NAMES.slice(index + 1)) {
          yield { name: skipped, status: 'skipped', detail: `needs ${name}` }
        }
        return
      }
    }
    const last = await steps.next()
    if (last.done === true) connection = last.value
  } finally {
    await connection?.release()
    // Whoever listened may have stopped half-way, and a step may still hang: not waited for.
    void steps.return(undefined as never)
  }
}
