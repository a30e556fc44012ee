import { KeystayError, type ErrorCode } from '../errors.ts'
import type { Engine, FailureReason } from './engine.ts'

const EXPLANATIONS: Readonly<Record<FailureReason, readonly [ErrorCode, string]>> = {
  conflict: ['store_unavailable', 'is too busy: calls were in each other’s way; try again'],
  referenced: ['store_failed', 'refused a change to a row that another row refers to'],
  unavailable: ['store_unavailable', 'does not answer, or not in time; try again'],
  refused: [
    'store_failed',
    'does not let us in: the user, its password or rights, or the database’s name is wrong',
  ],
  full: ['store_full', 'has no room left; make some and try again'],
  read_only: [
    'store_read_only',
    'cannot be written; give this user the right to write the file and its directory, or use the primary server',
  ],
  damaged: ['store_failed', 'is not a SQLite database, or a damaged one; restore it from a backup'],
  other: ['store_failed', 'refused a statement; the cause says more'],
}

/** What a caller is told of a failure. What is a `KeystayError` already stays as it is. */
export function toStoreError(engine: Pick<Engine, 'uri' | 'reasonOf'>, error: unknown): Error {
  if (error instanceof KeystayError) return error
  const [code, explanation] = EXPLANATIONS[engine.reasonOf(error)]
  return new KeystayError(code, `the store ${engine.uri} ${explanation}`, { cause: error })
}
