import { constants, createPublicKey, verify } from 'node:crypto'
import {
  openAwsKmsBackend,
  type AwsCredentials,
  type AwsKmsBackendOptions,
  type Clock,
} from '../../../backends/aws-kms/index.ts'
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from '../../../src/csr/algorithms.ts'
import { KeystayError, type ErrorCode } from '../../../src/errors.ts'
import type { BackendKey, DiagnosableBackend } from '../../../src/key/backend.ts'
import type { KmsEmulator } from '../../../src/testing/kms-emulator/index.ts'

/** The credentials that an emulator made up for itself. */
export function credentialsOf({ env }: KmsEmulator): AwsCredentials {
  return {
    accessKeyId: env.AWS_ACCESS_KEY_ID ?? '',
    secretAccessKey: env.AWS_SECRET_ACCESS_KEY ?? '',
  }
}

/** A backend on the emulator. */
export function openOn(
  emulator: KmsEmulator,
  options: AwsKmsBackendOptions = {},
): Promise<DiagnosableBackend> {
  return openAwsKmsBackend(emulator.uri, { credentials: credentialsOf(emulator), ...options })
}

/** A clock that stands still but for delays, which it jumps over and notes. */
export interface JumpingClock extends Clock {
  readonly delays: number[]
  advance(ms: number): void
}

/** A {@link JumpingClock} that begins now. */
export function createJumpingClock(): JumpingClock {
  const delays: number[] = []
  let time = Date.now()
  return {
    delays,
    now: () => time,
    async delay(ms, signal) {
      signal.throwIfAborted()
      delays.push(ms)
      time += ms
    },
    advance(ms) {
      time += ms
    },
  }
}

/** Whether node:crypto accepts a signature over the whole message. */
export function verifies(
  { publicKey }: Pick<BackendKey, 'publicKey'>,
  algorithm: SignatureAlgorithm,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const { scheme, hash, hashBytes } = SIGNATURE_ALGORITHMS[algorithm]
  const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' })
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: hashBytes }
  return verify(
    hash?.replace('-', ''),
    message,
    { key, ...(scheme === 'rsa-pss' && pss) },
    signature,
  )
}

/** The code and message with which a promise rejects. */
export async function failureOf(
  promise: Promise<unknown>,
): Promise<{ code: ErrorCode; message: string; error: KeystayError }> {
  try {
    await promise
  } catch (error) {
    if (!(error instanceof KeystayError)) throw error
    return { code: error.code, message: error.message, error }
  }
  throw new Error('it did not fail')
}

/** A bare call to the emulator, for what the backend itself never does. */
export async function callKms(
  emulator: KmsEmulator,
  operation: string,
  input: object,
): Promise<Record<string, unknown>> {
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  const scope = `${date.slice(0, 8)}/${emulator.region}/kms/aws4_request`
  const response = await fetch(emulator.endpoint, {
    method: 'POST',
    headers: {
      authorization: `AWS4-HMAC-SHA256 Credential=${credentialsOf(emulator).accessKeyId}/${scope}, SignedHeaders=host;x-amz-date, Signature=${'0'.repeat(64)}`,
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-date': date,
      'x-amz-target': `TrentService.${operation}`,
    },
    body: JSON.stringify(input),
  })
  const body = (await response.json()) as Record<string, unknown>
  if (!response.ok) throw new Error(`${operation}: ${JSON.stringify(body)}`)
  return body
}
