import { randomUUID } from 'node:crypto'
import {
  chooseSignatureAlgorithm,
  type KeyType,
  type SignatureAlgorithm,
} from '../csr/algorithms.ts'
import type { Csr, CsrBuilder } from '../csr/csr-builder.ts'
import { KeystayError } from '../errors.ts'
import type { Attestation } from '../key/attestation.ts'
import type { BackendKey, KeyBackend } from '../key/backend.ts'
import { TIDY_UP_MS, commandFor, type BackendOptions, type CliContext } from './context.ts'
import { describeFailure } from './failure.ts'
import { withProgress, type CliIo } from './io.ts'
import { describeDestruction } from './layout.ts'

/** Which key is to sign: one to be made, or one that is there. */
export type KeyChoice =
  | { readonly keyType: KeyType; readonly label: string | undefined }
  | { readonly uri: string; readonly expectedType: KeyType | undefined }

/** What is to be done; as far as it can be known without the device, nothing is wrong in it. */
export interface Plan {
  readonly builder: CsrBuilder
  readonly choice: KeyChoice
  readonly signatureAlgorithm: SignatureAlgorithm | undefined
}

/** What {@link signRequest} works on. */
export interface Work {
  readonly context: CliContext
  readonly options: BackendOptions
  readonly backend: KeyBackend
  readonly plan: Plan
}

/** A request, the key that signed it, and how that key is kept. */
export interface SignedRequest {
  readonly key: BackendKey
  readonly csr: Csr
  readonly attestation: Attestation
}

/**
 * Makes or finds the key, and has it sign. A key that was made for a request which then fails is
 * destroyed again.
 * @throws {KeystayError} `backend_not_durable`, `key_type_conflict`, `label_taken`, and what the
 *   backend and the builder throw
 */
export async function signRequest(work: Work): Promise<SignedRequest> {
  const { context, backend, plan } = work
  const { signal } = context.io
  const { choice } = plan
  const { durable, signatureAlgorithms, uniqueLabels } = await backend.capabilities({ signal })
  if (!durable) throw notDurable(backend)
  const isNew = 'label' in choice
  if (isNew) {
    checkSupport(choice.keyType, plan.signatureAlgorithm, signatureAlgorithms[choice.keyType])
    // Where the device itself does not refuse a second key of the same label.
    if (!uniqueLabels) await refuseTakenLabel(backend, choice.label, signal)
  }
  const key = isNew
    ? await makeKey(work, choice.keyType, choice.label)
    : await getKey(work, choice.uri, choice.expectedType)
  try {
    const attestation = await key.attest({ signal })
    const { signatureAlgorithm } = plan
    const csr = await plan.builder.sign(key, { signatureAlgorithm, signal })
    return { key, csr, attestation }
  } catch (error) {
    throw isNew ? withFate(context.io, error, await removeKey(work, key.uri)) : error
  }
}

function notDurable(backend: KeyBackend): KeystayError {
  return new KeystayError(
    'backend_not_durable',
    `a key in ${backend.uri} dies with this process and would leave a request that nobody can use; ` +
      'use a keyring on disk: (umask 077; head -c 32 /dev/urandom | base64 > keystay.secret) ' +
      'and then --backend "webcrypto:$PWD/keyring?secret-source=file:$PWD/keystay.secret"',
  )
}

/** A key that cannot sign as asked had better not be made. */
function checkSupport(
  keyType: KeyType,
  asked: SignatureAlgorithm | undefined,
  supported: readonly SignatureAlgorithm[] | undefined,
): void {
  // Without an entry the device makes no such key, and says so itself.
  if (supported === undefined) return
  const algorithm = chooseSignatureAlgorithm(keyType, asked)
  if (supported.includes(algorithm)) return
  throw new KeystayError(
    'signature_algorithm_unsupported',
    `this backend cannot sign by ${algorithm} with a ${keyType} key; it can by ${supported.join(', ')}`,
  )
}

async function getKey(
  { context, backend }: Work,
  uri: string,
  expectedType: KeyType | undefined,
): Promise<BackendKey> {
  const key = await backend.getKey(uri, { signal: context.io.signal })
  if (expectedType === undefined || expectedType === key.keyType) return key
  throw new KeystayError(
    'key_type_conflict',
    `the request is for a key of type ${expectedType}, and ${key.uri} is ${key.keyType}; name another key, or leave the key type out`,
  )
}

async function makeKey(
  work: Work,
  keyType: KeyType,
  chosenLabel: string | undefined,
): Promise<BackendKey> {
  const { context, backend } = work
  const { signal } = context.io
  const label = chosenLabel ?? `keystay:${randomUUID()}`
  try {
    return await withProgress(context.io, `creating a key of type ${keyType}`, () =>
      backend.generateKey(keyType, { label, signal }),
    )
  } catch (error) {
    if (!signal.aborted) throw error
    // The device may have finished what we no longer waited for.
    throw withFate(context.io, error, await removeByLabel(work, label, chosenLabel === undefined))
  }
}

async function refuseTakenLabel(
  backend: KeyBackend,
  label: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (label === undefined || (await backend.findKey(label, { signal })) === undefined) return
  throw new KeystayError(
    'label_taken',
    `there is a key labelled ${label} already; choose another label, or leave --label out`,
  )
}

async function removeKey({ context, options, backend }: Work, uri: string): Promise<string> {
  try {
    const destruction = await backend.destroyKey(uri, { signal: AbortSignal.timeout(TIDY_UP_MS) })
    return `the key made for it is ${describeDestruction(destruction)}`
  } catch (error) {
    const { message } = describeFailure(error, context.io.signal)
    const command = commandFor(context, options, `keys destroy '${uri}'`)
    return `the key made for it could not be destroyed (${message}); do it with: ${command}`
  }
}

async function removeByLabel(work: Work, label: string, ours: boolean): Promise<string> {
  const { context, options, backend } = work
  try {
    const key = await backend.findKey(label, { signal: AbortSignal.timeout(TIDY_UP_MS) })
    if (key === undefined) return 'no key was left behind'
    // Only a label that nobody else can have chosen proves that the key is ours.
    return ours ? await removeKey(work, key.uri) : `the key ${key.uri} remains`
  } catch (error) {
    const { message } = describeFailure(error, context.io.signal)
    const command = commandFor(context, options, `keys list --label '${label}'`)
    return `a key may have been left behind (${message}); look with: ${command}`
  }
}

/** A failure, and in the same line what became of the key. */
export function withFate(io: CliIo, error: unknown, fate: string): KeystayError {
  const { code, message, pointer } = describeFailure(error, io.signal)
  return new KeystayError(code, `${message}; ${fate}`, {
    cause: error,
    ...(pointer !== undefined && { pointer }),
  })
}
