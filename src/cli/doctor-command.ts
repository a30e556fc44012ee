import { randomUUID } from 'node:crypto'
import { chooseSignatureAlgorithm, type KeyType } from '../csr/algorithms.ts'
import { verifySignature } from '../csr/verify-signature.ts'
import { KeystayError } from '../errors.ts'
import type { BackendKey, DiagnosisStep, KeyBackend } from '../key/backend.ts'
import {
  TIDY_UP_MS,
  backendUri,
  commandFor,
  withBackend,
  type BackendOptions,
  type CliContext,
} from './context.ts'
import { describeFailure } from './failure.ts'
import { paint, print, printable, showable, toJson } from './io.ts'
import { describeDestruction } from './layout.ts'

/** Options of `keystay doctor`. */
export interface DoctorOptions extends BackendOptions {
  readonly trial?: boolean
}

/**
 * `keystay doctor`: what the backend finds out about itself, then a key's whole life.
 * @throws {KeystayError} `diagnosis_failed` after all was printed
 */
export async function diagnose(context: CliContext, options: DoctorOptions): Promise<void> {
  const { io, json } = context
  const steps: DiagnosisStep[] = []
  const add = async (step: DiagnosisStep): Promise<void> => {
    steps.push(step)
    if (!json) await print(io.stdout, formatStep(context, step))
  }
  const { diagnoseBackend } = await context.loadBackends()
  for await (const step of diagnoseBackend(backendUri(context, options), { signal: io.signal })) {
    await add(step)
  }
  const failures = (): number => steps.filter(({ status }) => status === 'failed').length
  if (failures() === 0) {
    await withBackend(context, options, async (backend) => {
      for await (const step of tryBackend(context, options, backend)) await add(step)
    })
  }
  const failed = failures()
  if (json) await print(io.stdout, `${toJson({ ok: failed === 0, steps })}\n`)
  if (failed > 0) {
    throw new KeystayError(
      'diagnosis_failed',
      `${failed} of ${steps.length} steps failed; mend the first, then run keystay doctor again`,
    )
  }
}

const MARKS = { ok: '✔', failed: '✘', warning: '!', skipped: '–' } as const
const STYLES = { ok: 'green', failed: 'red', warning: 'yellow', skipped: 'dim' } as const

function formatStep({ io }: CliContext, { name, status, detail, remedy }: DiagnosisStep): string {
  const mark = paint(io.stdout, STYLES[status], MARKS[status])
  const line = `${mark} ${printable(name).padEnd(18)} ${showable(detail)}\n`
  return remedy === undefined ? line : `${line}${' '.repeat(21)}→ ${showable(remedy)}\n`
}

/** The generic part: what the backend says it can do, and the whole life of a trial key. */
async function* tryBackend(
  context: CliContext,
  options: DoctorOptions,
  backend: KeyBackend,
): AsyncGenerator<DiagnosisStep, void> {
  const { signal } = context.io
  const { keyTypes, deletion, durable } = await backend.capabilities({ signal })
  const detail = `deletion ${deletion}, keys ${durable ? 'stay' : 'die with the process'}`
  yield durable
    ? { name: 'capabilities', status: 'ok', detail }
    : {
        name: 'capabilities',
        status: 'warning',
        detail,
        remedy: 'for keys that stay, use webcrypto:<directory>?secret-source=…, a token or a KMS',
      }
  if (deletion === 'scheduled' && options.trial !== true) {
    yield {
      name: 'trial key',
      status: 'skipped',
      detail: 'a key costs money here, and its deletion is only scheduled; --trial makes one',
    }
    return
  }
  // The cheapest to generate on every device.
  const keyType = keyTypes.includes('p256v1') ? 'p256v1' : keyTypes[0]
  if (keyType !== undefined) yield* tryKey(context, options, backend, keyType)
}

async function* tryKey(
  context: CliContext,
  options: DoctorOptions,
  backend: KeyBackend,
  keyType: KeyType,
): AsyncGenerator<DiagnosisStep, void> {
  const { signal } = context.io
  const label = `keystay:doctor-${randomUUID()}`
  let key: BackendKey | undefined
  yield await attempt(context, 'trial key', async () => {
    key = await backend.generateKey(keyType, { label, signal })
    return { detail: `${keyType}, labelled ${label}` }
  })
  if (key === undefined) return
  try {
    yield* useKey(context, key)
  } finally {
    yield await destroyTrialKey(context, options, backend, key.uri)
  }
}

async function* useKey(context: CliContext, key: BackendKey): AsyncGenerator<DiagnosisStep, void> {
  const { signal } = context.io
  const message = new TextEncoder().encode('keystay doctor')
  let signature: Uint8Array | undefined
  yield await attempt(context, 'attestation', async () => {
    const { level, concerns } = await key.attest({ signal })
    const detail = [level, ...concerns].join('; ')
    return concerns.length === 0 ? { detail } : { status: 'warning', detail }
  })
  yield await attempt(context, 'signature', async () => {
    const begun = performance.now()
    signature = await key.sign(message, undefined, { signal })
    return { detail: `${signature.length} bytes in ${(performance.now() - begun).toFixed(1)} ms` }
  })
  if (signature === undefined) return
  const value = signature
  yield await attempt(context, 'verification', async () => {
    const algorithm = chooseSignatureAlgorithm(key.keyType, undefined)
    if (await verifySignature(key.publicKey, algorithm, message, value)) {
      return { detail: `${algorithm}, with the public key that the backend told` }
    }
    return {
      status: 'failed',
      detail: 'the signature does not match the public key that the backend told',
      remedy: 'do not use this device or its driver; report what it is to the keystay project',
    }
  })
}

async function destroyTrialKey(
  context: CliContext,
  options: DoctorOptions,
  backend: KeyBackend,
  uri: string,
): Promise<DiagnosisStep> {
  const step = await attempt(context, 'destruction', async () => {
    const result = await backend.destroyKey(uri, { signal: AbortSignal.timeout(TIDY_UP_MS) })
    return { detail: describeDestruction(result) }
  })
  if (step.status === 'ok') return step
  const command = commandFor(context, options, `keys destroy '${uri}'`)
  return { ...step, remedy: `destroy the key yourself: ${command}` }
}

/** Takes a step: a failure is what a diagnosis is there to find. */
async function attempt(
  { io }: CliContext,
  name: string,
  work: () => Promise<Omit<DiagnosisStep, 'name' | 'status'> & Partial<DiagnosisStep>>,
): Promise<DiagnosisStep> {
  try {
    return { status: 'ok', ...(await work()), name }
  } catch (error) {
    return { name, status: 'failed', detail: describeFailure(error, io.signal).message }
  }
}
