import { createHmac, randomBytes } from 'node:crypto'
import { KeystayError } from '../../src/errors.ts'
import { CKF, CKR } from './cryptoki.ts'
import { toKeystayError } from './failures.ts'
import { createMutex } from './mutex.ts'
import type { TokenInfo } from './operation-types.ts'
import { createReturnValueError, returnValueOf } from './return-values.ts'
import type { NativeThread } from './thread.ts'

/**
 * `accepted`: the token checked the PIN. `shared`: it is the one that was accepted before.
 * `unchecked`: other code in this process had logged in, and the token then looks at no PIN.
 * `unneeded`: the token asks for none.
 */
export type LoginOutcome = 'accepted' | 'shared' | 'unchecked' | 'unneeded'

const WRONG_PIN: readonly number[] = [CKR.PIN_INCORRECT, CKR.PIN_INVALID, CKR.PIN_LEN_RANGE]

/** PINs are compared and remembered by a digest that means nothing outside this process. */
const DIGEST_KEY = randomBytes(32)

function digestPin(pin: string): string {
  return createHmac('sha256', DIGEST_KEY).update(pin).digest('base64')
}

/**
 * Refuses a login that cannot succeed, or that might lock the token.
 * @throws {KeystayError} `pin_uninitialized`, `pin_locked`, `pin_final_try`
 */
export function refusePinState({ flags, label }: TokenInfo, allowFinalTry: boolean): void {
  const name = `token ${JSON.stringify(label)}`
  if ((flags & CKF.USER_PIN_INITIALIZED) === 0) {
    const unset = createReturnValueError(CKR.USER_PIN_NOT_INITIALIZED)
    throw toKeystayError(unset, `${name} has no user PIN`)
  }
  if ((flags & CKF.USER_PIN_LOCKED) !== 0) {
    throw toKeystayError(createReturnValueError(CKR.PIN_LOCKED), `${name} does not take a login`)
  }
  if ((flags & CKF.USER_PIN_FINAL_TRY) !== 0 && !allowFinalTry) {
    throw new KeystayError(
      'pin_final_try',
      `one wrong PIN more locks ${name}; log in once by hand with the right PIN (for instance with pkcs11-tool --login), or set allowFinalTry`,
    )
  }
}

/** A token's login: one for the whole process, whoever asks for it. */
export class LoginState {
  readonly #name: string
  readonly #onLogin: () => void
  readonly #mutex = createMutex()
  /** Digest of the PIN that is logged in with. */
  #pin: string | undefined
  readonly #wrongPins = new Set<string>()
  #epoch = 0

  /** @param onLogin what to do when object handles have died */
  constructor(label: string, onLogin: () => void) {
    this.#name = `token ${JSON.stringify(label)}`
    this.#onLogin = onLogin
  }

  /** Grows with each login. */
  get epoch(): number {
    return this.#epoch
  }

  /** The last session has been closed. */
  forget(): void {
    this.#pin = undefined
  }

  /** Logs in where nobody is, and otherwise sees to it that it is with the same PIN. */
  ensure(
    pin: string,
    withSession: (work: (thread: NativeThread) => Promise<LoginOutcome>) => Promise<LoginOutcome>,
  ): Promise<LoginOutcome> {
    return this.#mutex(async () => {
      const digest = digestPin(pin)
      if (this.#wrongPins.has(digest)) {
        throw new KeystayError(
          'pin_latched',
          `${this.#name} has refused this PIN already, and it is not tried again, lest the token lock; correct the PIN source (or restart the process if the token's PIN was changed to this one)`,
        )
      }
      try {
        return await withSession((thread) => this.#logIn(thread, pin, digest))
      } catch (error) {
        if (WRONG_PIN.includes(returnValueOf(error) ?? CKR.OK)) this.#wrongPins.add(digest)
        throw toKeystayError(error, `the login to ${this.#name} failed`)
      }
    })
  }

  async #logIn(thread: NativeThread, pin: string, digest: string): Promise<LoginOutcome> {
    const loggedIn = await thread.call('isLoggedIn')
    if (loggedIn && this.#pin === digest) return 'shared'
    if (loggedIn && this.#pin !== undefined) {
      // The token would answer "already logged in" to any PIN: the check is ours to make.
      throw new KeystayError(
        'pin_differs',
        `another backend of this process is logged in to ${this.#name} with another PIN; give both the same PIN (this one was not tried)`,
      )
    }
    const accepted = !loggedIn && (await thread.call('login', pin))
    this.#pin = digest
    this.#epoch++
    this.#onLogin()
    return accepted ? 'accepted' : 'unchecked'
  }
}
