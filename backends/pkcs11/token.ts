import { KeystayError } from '../../src/errors.ts'
import type { Call } from './call.ts'
import { CKF, CKR } from './cryptoki.ts'
import type { Handle } from './driver.ts'
import { toKeystayError } from './failures.ts'
import { HandleCache } from './handle-cache.ts'
import { LoginState, refusePinState, type LoginOutcome } from './login.ts'
import type { CryptokiModule } from './module.ts'
import { createMutex } from './mutex.ts'
import type { KeyQuery, SignJob, TokenInfo } from './operation-types.ts'
import type { Operations } from './operations.ts'
import { createReturnValueError, recoveryFor, type Recovery } from './return-values.ts'
import { SessionPool } from './session-pool.ts'
import { SigningQueue } from './signing-queue.ts'
import type { NativeThread } from './thread.ts'
import { formatTokenUri, type TokenIdentity } from './uri.ts'

/** How one backend uses a token. Several may use the same one. */
export interface TokenAccess {
  /** @throws {KeystayError} `pin_missing`, `secret_source_…` */
  readonly readPin: () => Promise<string>
  /** Whether to risk the last attempt before the token locks. */
  readonly allowFinalTry: boolean
  readonly maxSessions: number | undefined
  /** Whether the vendor says "general error" of a lost device. */
  readonly vagueErrors: boolean
  /** Whether the module may be finalised to get a lost device back. */
  readonly allowReinitialize: boolean
}

/** The attempts that a call makes. */
export interface Attempt {
  readonly call: Call
  /** What has been done since the first one. */
  readonly tried: Set<Recovery>
  /** The key's handle in the last one. */
  usedHandle?: Promise<Handle>
  /** A handle that proved dead. */
  deadHandle?: Promise<Handle> | undefined
}

const DEFAULT_SESSIONS = 4
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000

/**
 * A token and this process's dealings with it: one login, one pool of sessions, one memory of
 * object handles, shared by all backends that name the token.
 */
export class Token {
  readonly identity: TokenIdentity
  readonly #module: CryptokiModule
  #info: TokenInfo
  #pool: SessionPool
  #signing: SigningQueue
  readonly #users: TokenAccess[] = []
  readonly #handles = new HandleCache()
  readonly #useMutex = createMutex()
  readonly #login: LoginState
  #restoring: Promise<void> | undefined
  #pauseMs = FIRST_PAUSE_MS
  #downUntil = 0

  constructor(module: CryptokiModule, info: TokenInfo) {
    this.#module = module
    this.#info = info
    this.identity = { label: info.label, serial: info.serial }
    this.#login = new LoginState(info.label, () => {
      this.#handles.clear()
    })
    this.#pool = this.#createPool()
    this.#signing = new SigningQueue(this.#pool)
  }

  /** What the token said of itself when it was last looked at. */
  get info(): TokenInfo {
    return this.#info
  }

  get uri(): string {
    return formatTokenUri(this.identity)
  }

  /** Grows with each login: object handles from before it are dead. */
  get epoch(): number {
    return this.#login.epoch
  }

  /** Sessions that are opened at most. */
  get sessionLimit(): number {
    return this.#pool.limit
  }

  get loginRequired(): boolean {
    return (this.#info.flags & CKF.LOGIN_REQUIRED) !== 0
  }

  /** One more backend uses the token. */
  enter(access: TokenAccess, info: TokenInfo): Promise<void> {
    return this.#useMutex(async () => {
      this.#users.push(access)
      if (this.#users.length === 1 || this.#pool.isEnded) {
        this.#info = info
        this.#renewPool()
      }
      this.#pool.limit = this.#countSessions()
    })
  }

  /** One less does; with the last one the sessions end, and with them the login. */
  leave(access: TokenAccess): Promise<void> {
    return this.#useMutex(async () => {
      this.#users.splice(this.#users.indexOf(access), 1)
      if (this.#users.length > 0) {
        this.#pool.limit = this.#countSessions()
        return
      }
      await this.#pool.end()
      this.#handles.clear()
      // A call that does not return keeps its session, and so the login.
      if (this.#pool.size === 0) this.#login.forget()
    })
  }

  /**
   * Looks at what the token says of the PIN before one is tried.
   * @throws {KeystayError} `pin_uninitialized`, `pin_locked`, `pin_final_try`
   */
  async checkPinState({ allowFinalTry }: TokenAccess): Promise<TokenInfo> {
    const info = await this.#module.readToken(this.#info.slot)
    if (this.loginRequired) refusePinState(info, allowFinalTry)
    return info
  }

  /**
   * Sees to it that the user is logged in, and that it is with this PIN.
   * @param renew whether the sessions may be dead
   * @throws {KeystayError} `pin_incorrect`, `pin_latched`, `pin_differs`, `pin_locked`, …
   */
  login(pin: string, renew = false): Promise<LoginOutcome> {
    return this.#login.ensure(pin, (work) => this.#withSession(this.#pool, undefined, renew, work))
  }

  /**
   * Does something with the token, and does it again after each kind of failure that can be
   * mended, once per kind.
   * @param attempt must be safe to repeat
   */
  run<T>(call: Call, access: TokenAccess, attempt: (attempt: Attempt) => Promise<T>): Promise<T> {
    return call.race(this.#attempt(call, access, attempt))
  }

  async #attempt<T>(
    call: Call,
    access: TokenAccess,
    attempt: (attempt: Attempt) => Promise<T>,
  ): Promise<T> {
    const attempts: Attempt = { call, tried: new Set() }
    const { tried } = attempts
    for (;;) {
      const pool = this.#pool
      try {
        call.signal.throwIfAborted()
        return await attempt(attempts)
      } catch (error) {
        if (call.signal.aborted) throw error
        const recovery = recoveryFor(error, access.vagueErrors)
        if (recovery === undefined || tried.has(recovery)) throw toKeystayError(error, call.what)
        tried.add(recovery)
        if (recovery === 'object') attempts.deadHandle = attempts.usedHandle
        await this.#recover(recovery, pool, access, error).catch((failure: unknown) => {
          throw toKeystayError(failure, call.what)
        })
      }
    }
  }

  /** Lends a session to some work; after a failure the session is not used again. */
  withSession<T>(
    { call, tried }: Pick<Attempt, 'tried'> & Partial<Pick<Attempt, 'call'>>,
    work: (thread: NativeThread) => Promise<T>,
  ): Promise<T> {
    return this.#withSession(this.#pool, call?.signal, tried.has('session'), work)
  }

  async #withSession<T>(
    pool: SessionPool,
    signal: AbortSignal | undefined,
    renew: boolean,
    work: (thread: NativeThread) => Promise<T>,
  ): Promise<T> {
    const thread = await pool.acquire(signal)
    try {
      if (renew) await pool.renew(thread)
      const result = await work(thread)
      pool.release(thread)
      return result
    } catch (error) {
      void pool.discard(thread)
      throw error
    }
  }

  /**
   * Private keys that match; all, where no query is given. Without a login they are invisible, so
   * finding none means nothing where one was made meanwhile.
   */
  async findPrivateKeys(
    query: KeyQuery | undefined,
    attempt: Parameters<Token['withSession']>[0],
  ): Promise<Handle[]> {
    const { epoch } = this
    const found = await this.withSession(attempt, (thread) =>
      thread.call('findPrivateKeys', query, this.loginRequired),
    )
    if (found.length === 0) this.#refuseNewLogin(epoch)
    return found
  }

  /** Destroys both halves of a key; see `Operations.destroy`. */
  async destroy(
    query: KeyQuery,
    attempt: Parameters<Token['withSession']>[0],
  ): Promise<ReturnType<Operations['destroy']>> {
    const { epoch } = this
    const found = await this.withSession(attempt, (thread) =>
      thread.call('destroy', query, this.loginRequired),
    )
    if (found.privateKeys === 0) this.#refuseNewLogin(epoch)
    return found
  }

  #refuseNewLogin(epoch: number): void {
    if (this.epoch !== epoch) throw createReturnValueError(CKR.USER_NOT_LOGGED_IN)
  }

  /**
   * The handle of a private key, from memory where it is there.
   * @throws {KeystayError} `key_not_found`, `key_ambiguous`
   */
  findHandle(query: KeyQuery, attempt: Attempt): Promise<Handle> {
    const { tried, deadHandle } = attempt
    attempt.usedHandle = this.#handles.get(query, deadHandle, async () => {
      // Not under the signal of the caller who happens to be the first to ask.
      return this.#single(await this.findPrivateKeys(query, { tried }), query)
    })
    return attempt.usedHandle
  }

  #single(found: readonly Handle[], query: KeyQuery): Handle {
    const [handle, ...others] = found
    const name =
      'id' in query
        ? `CKA_ID ${Buffer.from(query.id).toString('hex')}`
        : `CKA_LABEL ${JSON.stringify(query.label)}`
    const token = JSON.stringify(this.identity.label)
    if (handle === undefined) {
      throw new KeystayError('key_not_found', `token ${token} holds no private key with ${name}`)
    }
    if (others.length > 0) {
      throw new KeystayError(
        'key_ambiguous',
        `token ${token} holds ${found.length} private keys with ${name}; which of them is meant cannot be told: destroy or rename the others`,
      )
    }
    return handle
  }

  /** A key has just been generated, or is no more. */
  rememberHandle(query: KeyQuery, handle: Handle | undefined): void {
    this.#handles.set(query, handle)
  }

  /** The raw signature. */
  sign(job: SignJob, { call, tried }: Attempt): Promise<Uint8Array> {
    return this.#signing.sign(job, call.signal, tried.has('session'))
  }

  async #recover(
    recovery: Recovery,
    pool: SessionPool,
    access: TokenAccess,
    error: unknown,
  ): Promise<void> {
    // Another call may have been here first.
    if (pool !== this.#pool) return
    if (recovery === 'device' || pool.isEnded) {
      this.#restoring ??= this.#restore(access, error).finally(() => {
        this.#restoring = undefined
      })
      await this.#restoring
    } else if (recovery === 'login') await this.#logInAgain(access)
  }

  async #logInAgain(access: TokenAccess): Promise<void> {
    await this.checkPinState(access)
    if (this.loginRequired) await this.login(await access.readPin(), true)
  }

  /** Begins anew with a token that was away; with the module, where that does not suffice. */
  async #restore(access: TokenAccess, cause: unknown): Promise<void> {
    const name = `token ${JSON.stringify(this.identity.label)}`
    if (Date.now() < this.#downUntil) {
      const seconds = Math.ceil((this.#downUntil - Date.now()) / 1000)
      throw new KeystayError(
        'backend_unavailable',
        `${name} does not answer; the next attempt to reach it is made in ${seconds} s`,
        { cause },
      )
    }
    try {
      await this.#pool.end()
      try {
        await this.#reattach(access)
      } catch (error) {
        if (recoveryFor(error, access.vagueErrors) === undefined) throw error
        if (!access.allowReinitialize || !(await this.#module.reinitialize())) throw error
        await this.#reattach(access)
      }
      this.#pauseMs = FIRST_PAUSE_MS
      this.#downUntil = 0
    } catch (error) {
      // Until the next attempt calls shall fail at once.
      await this.#pool.end()
      this.#downUntil = Date.now() + this.#pauseMs
      this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS)
      throw toKeystayError(error, `${name} was lost and could not be reached again`)
    }
  }

  /** Slots may have been renumbered meanwhile: label and serial count. */
  async #reattach(access: TokenAccess): Promise<void> {
    await this.#module.ensureInitialized()
    const info = (await this.#module.listTokens()).find(
      ({ label, serial }) => label === this.identity.label && serial === this.identity.serial,
    )
    if (info === undefined) throw createReturnValueError(CKR.TOKEN_NOT_PRESENT)
    this.#info = info
    this.#renewPool()
    await this.#logInAgain(access)
  }

  #renewPool(): void {
    this.#handles.clear()
    this.#pool = this.#createPool()
    this.#signing = new SigningQueue(this.#pool)
  }

  #createPool(): SessionPool {
    const pool = new SessionPool(
      () => this.#module.startSession(this.#info.slot),
      this.#countSessions(),
    )
    this.#module.addPool(pool)
    return pool
  }

  /** The least that any user of the token asked for, and no more than the token has. */
  #countSessions(): number {
    const asked = this.#users.map(({ maxSessions }) => maxSessions)
    const wanted = asked.filter((count) => count !== undefined)
    const most = this.#info.maxSessions ?? Infinity
    return Math.min(most, wanted.length === 0 ? DEFAULT_SESSIONS : Math.min(...wanted))
  }
}

/** By module and name. Never emptied: a PIN that was wrong stays wrong. */
const tokens = new WeakMap<CryptokiModule, Map<string, Token>>()

/** The one object for a token of a module. */
export function findToken(module: CryptokiModule, info: TokenInfo): Token {
  const ofModule = tokens.get(module) ?? new Map<string, Token>()
  tokens.set(module, ofModule)
  const key = JSON.stringify([info.label, info.serial])
  const token = ofModule.get(key) ?? new Token(module, info)
  ofModule.set(key, token)
  return token
}
