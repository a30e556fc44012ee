import type { CallOptions } from '../csr/signing-key.ts'
import type { DiagnosisStep, KeyBackend } from '../key/backend.ts'
import { redactUri } from '../key/uri.ts'
import { usageError } from './failure.ts'
import type { CliIo } from './io.ts'

/** How the command gets at backends. */
export interface Backends {
  readonly openBackend: (uri: string, options?: CallOptions) => Promise<KeyBackend>
  readonly diagnoseBackend: (uri: string, options?: CallOptions) => AsyncIterable<DiagnosisStep>
}

/** What every subcommand is given. */
export interface CliContext {
  readonly io: CliIo
  readonly json: boolean
  loadBackends(): Promise<Backends>
}

/** Options of the subcommands that work on a backend. */
export interface BackendOptions {
  readonly backend?: string
}

/** How long tidying up may take. It is not under the user's signal: Ctrl-C must not prevent it. */
export const TIDY_UP_MS = 10_000

/** The URI of the backend to use. @throws {KeystayError} `usage_invalid` */
export function backendUri(context: CliContext, options: BackendOptions): string {
  const uri = options.backend ?? context.io.env['KEYSTAY_BACKEND'] ?? ''
  if (uri === '') {
    throw usageError(
      'no backend named; add --backend URI or set KEYSTAY_BACKEND, for instance pkcs11:token=…?module-path=…&pin-source=file:…',
    )
  }
  return uri
}

/** Opens the backend, and closes it when the work is done or has failed. */
export async function withBackend<Result>(
  context: CliContext,
  options: BackendOptions,
  work: (backend: KeyBackend) => Promise<Result>,
): Promise<Result> {
  const uri = backendUri(context, options)
  const { openBackend } = await context.loadBackends()
  await using backend = await openBackend(uri, { signal: context.io.signal })
  return await work(backend)
}

/** A shell command with the backend's URI as the user gave it, for messages: without secrets. */
export function commandFor(context: CliContext, options: BackendOptions, command: string): string {
  return `keystay ${command} --backend '${redactUri(backendUri(context, options))}'`
}
