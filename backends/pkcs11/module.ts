import { realpath } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { KeystayError } from '../../src/errors.ts'
import type { Driver, Handle, LoadedDriver } from './driver.ts'
import { toKeystayError } from './failures.ts'
import type { MechanismInfo, TokenInfo } from './operation-types.ts'
import type { SessionPool } from './session-pool.ts'
import { canStartThreads, startThread, type NativeThread } from './thread.ts'

/** How long the calls under way may take to end before the module is initialised anew. */
const DRAIN_MS = 5_000

/**
 * A PKCS#11 library in this process. There is one object per library and thread of the program,
 * because the library has but one state: it is initialised, its users are logged in, for all.
 */
export class CryptokiModule {
  readonly path: string
  readonly #driver: LoadedDriver
  readonly #libraryParameters: string | undefined
  readonly #pools = new Set<SessionPool>()
  /** Keeps the library in memory when no thread uses it: it is never finalised, so never unloaded. */
  #anchor: Driver | undefined
  #control: Promise<NativeThread> | undefined
  #owner = false
  #users = 0

  constructor(path: string, driver: LoadedDriver, libraryParameters: string | undefined) {
    this.path = path
    this.#driver = driver
    this.#libraryParameters = libraryParameters
  }

  /** Whether calls run in threads of their own, and not in the caller's. */
  get isThreaded(): boolean {
    return canStartThreads(this.#driver)
  }

  /** Loads and initialises the library for one more user. */
  async enter(): Promise<void> {
    this.#users++
    try {
      await this.#controlThread()
    } catch (error) {
      this.leave()
      throw error
    }
  }

  /** Ends the thread with the last user. The library stays initialised: others may be using it. */
  leave(): void {
    this.#users--
    if (this.#users > 0) return
    void this.#control?.then(
      (thread) => {
        thread.stop()
      },
      () => undefined,
    )
    this.#control = undefined
  }

  async describe(): Promise<string> {
    return (await this.#controlThread()).call('describeModule')
  }

  async listTokens(): Promise<TokenInfo[]> {
    return (await this.#controlThread()).call('listTokens')
  }

  async readToken(slot: Handle): Promise<TokenInfo> {
    return (await this.#controlThread()).call('readToken', slot)
  }

  async listMechanisms(slot: Handle): Promise<MechanismInfo[]> {
    return (await this.#controlThread()).call('listMechanisms', slot)
  }

  /** A thread with a session of its own. */
  async startSession(slot: Handle): Promise<NativeThread> {
    const thread = await startThread(this.#driver, this.path)
    try {
      // For every thread: p11-kit-proxy keeps a state of its own for each that loads it.
      await thread.call('initialize', this.#libraryParameters)
      await thread.call('openSession', slot)
      return thread
    } catch (error) {
      thread.stop()
      throw error
    }
  }

  /** Remembers a pool, so that the library is not finalised under its sessions. */
  addPool(pool: SessionPool): void {
    for (const known of this.#pools)
      if (known.isEnded && known.size === 0) this.#pools.delete(known)
    this.#pools.add(pool)
  }

  /** Initialises the library if somebody has finalised it. */
  async ensureInitialized(): Promise<void> {
    const thread = await this.#controlThread()
    if (await thread.call('initialize', this.#libraryParameters)) this.#owner = true
  }

  /**
   * Finalises and initialises, which some libraries need to find a device again. Only if it was
   * initialised from here, and with no call of ours under way: it ends the sessions of all.
   * @returns whether it was done
   */
  async reinitialize(): Promise<boolean> {
    if (!this.#owner) return false
    await Promise.all([...this.#pools].map((pool) => pool.end()))
    const deadline = Date.now() + DRAIN_MS
    while ([...this.#pools].some((pool) => pool.size > 0)) {
      if (Date.now() > deadline) return false
      await wait(20)
    }
    const thread = await this.#controlThread()
    await thread.call('finalize')
    await this.ensureInitialized()
    return true
  }

  #controlThread(): Promise<NativeThread> {
    this.#control ??= this.#start().catch((error: unknown) => {
      this.#control = undefined
      throw error
    })
    return this.#control
  }

  async #start(): Promise<NativeThread> {
    const thread = await this.#load()
    try {
      if (await thread.call('initialize', this.#libraryParameters)) this.#owner = true
      return thread
    } catch (error) {
      thread.stop()
      throw toKeystayError(error, `${this.path} cannot be initialised`)
    }
  }

  async #load(): Promise<NativeThread> {
    try {
      const thread = await startThread(this.#driver, this.path)
      if (this.#anchor === undefined) {
        this.#anchor = new this.#driver.driverPackage.PKCS11()
        this.#anchor.load(this.path)
      }
      return thread
    } catch (error) {
      throw new KeystayError(
        'pkcs11_module_invalid',
        `${this.path} does not load as a PKCS#11 library for this processor: ${(error as Error).message}`,
        { cause: error },
      )
    }
  }
}

/** By real path. Never emptied: a library that has been initialised stays so. */
const modules = new Map<string, CryptokiModule>()

/**
 * The module at a path, whichever way the path is written.
 * @throws {KeystayError} `pkcs11_module_not_found`
 */
export async function findModule(
  path: string,
  driver: LoadedDriver,
  libraryParameters: string | undefined,
): Promise<CryptokiModule> {
  let real: string
  try {
    real = await realpath(path)
  } catch (error) {
    throw new KeystayError(
      'pkcs11_module_not_found',
      `module-path ${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}); it must be the library that the vendor of the token installs`,
      { cause: error },
    )
  }
  const known = modules.get(real)
  if (known !== undefined) return known
  const module = new CryptokiModule(real, driver, libraryParameters)
  modules.set(real, module)
  return module
}
