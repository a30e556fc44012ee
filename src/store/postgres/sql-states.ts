import type { FailureReason } from '../engine.ts'

// PostgreSQL's error codes (its manual, appendix A): five characters, the first two a class.
const REASONS: ReadonlyMap<string, FailureReason> = new Map([
  ['40001', 'conflict'],
  ['40P01', 'conflict'],
  ['23503', 'referenced'],
  ['23001', 'referenced'],
  ['25006', 'read_only'],
  ['42501', 'refused'],
  ['3D000', 'refused'],
  ['28', 'refused'],
  ['53100', 'full'],
  ['53', 'unavailable'],
  ['08', 'unavailable'],
  ['57', 'unavailable'],
  ['25P03', 'unavailable'],
  ['55P03', 'unavailable'],
  ['58', 'unavailable'],
  ['XX001', 'damaged'],
  ['XX002', 'damaged'],
])

interface ServerError extends Error {
  readonly code: string
  readonly severity: string
}

/** Whether the server itself answered with an error, and not the way to it. */
export function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && 'severity' in error && 'code' in error
}

/** Whether a connection is of no more use after an error. */
export function endsConnection(error: unknown): boolean {
  return !isServerError(error) || error.severity === 'FATAL' || error.severity === 'PANIC'
}

/** What an error of `pg` means to the store. */
export function reasonOfPgError(error: unknown): FailureReason {
  if (isServerError(error)) {
    return REASONS.get(error.code) ?? REASONS.get(error.code.slice(0, 2)) ?? 'other'
  }
  return error instanceof Error && !(error instanceof TypeError) ? 'unavailable' : 'other'
}
