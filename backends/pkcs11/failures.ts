import { KeystayError, type ErrorCode } from '../../src/errors.ts'
import { CKR, describeReturnValue } from './cryptoki.ts'
import { returnValueOf } from './return-values.ts'

interface Failure {
  readonly code: ErrorCode
  /** What would be right. */
  readonly remedy: string
}

const PIN_REFUSED: Failure = {
  code: 'pin_incorrect',
  remedy:
    'this PIN will not be tried again by this process, lest the token lock; correct the PIN source and open the backend again',
}
const TOKEN_AWAY: Failure = {
  code: 'backend_unavailable',
  remedy: 'check that the device is connected and answers; calls go on when it does',
}
const TEMPLATE_REFUSED: Failure = {
  code: 'template_refused',
  remedy:
    "the token wants other attributes; choose the vendor's profile or change the template with the template option",
}
const READ_ONLY: Failure = {
  code: 'token_read_only',
  remedy: 'keys can neither be created nor destroyed there; use a token that is writable',
}

const FAILURES = new Map<number, Failure>([
  [CKR.PIN_INCORRECT, PIN_REFUSED],
  [CKR.PIN_INVALID, PIN_REFUSED],
  [CKR.PIN_LEN_RANGE, PIN_REFUSED],
  [
    CKR.PIN_LOCKED,
    { code: 'pin_locked', remedy: "the token's security officer must set a new user PIN" },
  ],
  [CKR.PIN_EXPIRED, { code: 'pin_expired', remedy: 'set a new user PIN on the token' }],
  [
    CKR.USER_PIN_NOT_INITIALIZED,
    { code: 'pin_uninitialized', remedy: "the token's security officer must set a user PIN first" },
  ],
  [
    CKR.USER_ANOTHER_ALREADY_LOGGED_IN,
    {
      code: 'token_login_taken',
      remedy: 'the security officer is logged in from this process; log out there',
    },
  ],
  [
    CKR.SESSION_COUNT,
    {
      code: 'token_sessions_exhausted',
      remedy: 'close other programs that use the token, or lower their max-sessions',
    },
  ],
  [CKR.DEVICE_ERROR, TOKEN_AWAY],
  [CKR.DEVICE_REMOVED, TOKEN_AWAY],
  [CKR.TOKEN_NOT_PRESENT, TOKEN_AWAY],
  [CKR.CRYPTOKI_NOT_INITIALIZED, TOKEN_AWAY],
  [
    CKR.DEVICE_MEMORY,
    { code: 'token_full', remedy: 'destroy keys that are no longer used, or use another token' },
  ],
  [CKR.TOKEN_WRITE_PROTECTED, READ_ONLY],
  [CKR.SESSION_READ_ONLY, READ_ONLY],
  [CKR.TEMPLATE_INCOMPLETE, TEMPLATE_REFUSED],
  [CKR.TEMPLATE_INCONSISTENT, TEMPLATE_REFUSED],
  [CKR.ATTRIBUTE_TYPE_INVALID, TEMPLATE_REFUSED],
  [CKR.ATTRIBUTE_VALUE_INVALID, TEMPLATE_REFUSED],
  [
    CKR.KEY_FUNCTION_NOT_PERMITTED,
    {
      code: 'key_use_refused',
      remedy: 'the key was not created for signing (CKA_SIGN); use another',
    },
  ],
])

/**
 * The error that callers see for one from the module.
 * @param what what could not be done, for instance `the token did not sign`
 */
export function toKeystayError(error: unknown, what: string): KeystayError {
  if (error instanceof KeystayError) return error
  const ckr = returnValueOf(error)
  if (ckr === undefined) {
    return new KeystayError('pkcs11_call_failed', `${what}: ${(error as Error).message}`, {
      cause: error,
    })
  }
  const failure = FAILURES.get(ckr)
  const answer = `${what}: the module answered ${describeReturnValue(ckr)}`
  return new KeystayError(
    failure?.code ?? 'pkcs11_call_failed',
    failure === undefined ? answer : `${answer}; ${failure.remedy}`,
    { cause: error },
  )
}
