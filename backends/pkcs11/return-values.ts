import { KeystayError } from '../../src/errors.ts'
import { CKR, describeReturnValue } from './cryptoki.ts'

/** What the module answered in place of CKR_OK. Callers see the `KeystayError` made from it. */
export interface ReturnValueError extends Error {
  readonly ckr: number
}

/** An error that carries a return value. */
export function createReturnValueError(ckr: number, cause?: unknown): ReturnValueError {
  const error = new Error(describeReturnValue(ckr), cause === undefined ? undefined : { cause })
  return Object.assign(error, { ckr })
}

/**
 * The return value behind an error, whichever way the driver threw it: as `Pkcs11Error` with a
 * code, or (find, create, copy, set) as plain `Error` with the number at the end of its message;
 * or as the cause of one of ours.
 */
export function returnValueOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined
  if (error instanceof KeystayError) return returnValueOf(error.cause)
  const { ckr, code } = error as Partial<ReturnValueError> & { code?: unknown }
  if (typeof ckr === 'number') return ckr
  if (error.name === 'Pkcs11Error' && typeof code === 'number' && code > 0) return code
  const [, number] = /^CKR_\w+:(\d+)/.exec(error.message) ?? []
  return number === undefined ? undefined : Number(number)
}

/**
 * What may help after a failure:
 * - `session`: another session. - `login`: logging in again. - `object`: finding the key again.
 * - `device`: beginning anew with the token, in the end with the module.
 */
export type Recovery = 'session' | 'login' | 'object' | 'device'

const RECOVERIES = new Map<number, Recovery>([
  [CKR.SESSION_HANDLE_INVALID, 'session'],
  [CKR.SESSION_CLOSED, 'session'],
  [CKR.OPERATION_ACTIVE, 'session'],
  [CKR.USER_NOT_LOGGED_IN, 'login'],
  [CKR.OBJECT_HANDLE_INVALID, 'object'],
  [CKR.KEY_HANDLE_INVALID, 'object'],
  [CKR.DEVICE_ERROR, 'device'],
  [CKR.DEVICE_REMOVED, 'device'],
  [CKR.TOKEN_NOT_PRESENT, 'device'],
  [CKR.CRYPTOKI_NOT_INITIALIZED, 'device'],
])

/**
 * What may help after this failure, if anything.
 * @param vague whether the vendor says "general error" or "function failed" of a lost device
 */
export function recoveryFor(error: unknown, vague: boolean): Recovery | undefined {
  const ckr = returnValueOf(error)
  if (ckr === undefined) return undefined
  if (vague && (ckr === CKR.GENERAL_ERROR || ckr === CKR.FUNCTION_FAILED)) return 'device'
  return RECOVERIES.get(ckr)
}
