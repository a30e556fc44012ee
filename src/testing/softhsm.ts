import { execFile } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { KeystayError } from '../errors.ts'

/** What `createSoftHsmToken` can be told. */
export interface SoftHsmOptions {
  /** CKA label of the token, at most 32 bytes. Default: one that no other token has. */
  readonly label?: string
  /**
   * Where tokens are kept. Default: a temporary directory that all tokens of this process share,
   * because SoftHSM reads its configuration once in the life of a process.
   */
  readonly directory?: string
  /** The library. Default: `SOFTHSM2_MODULE` in the environment, or where systems install it. */
  readonly modulePath?: string
}

/** A token made for a test. */
export interface SoftHsmToken extends AsyncDisposable {
  /** For `openBackend`: names token, module and PIN file; holds no PIN. */
  readonly uri: string
  readonly label: string
  readonly modulePath: string
  readonly directory: string
  /** SoftHSM's configuration, which `SOFTHSM2_CONF` must point at. */
  readonly confPath: string
  /** The environment that another program needs to see the token. */
  readonly env: { readonly SOFTHSM2_CONF: string }
  readonly pinFile: string
  /** Destroys the token, and the temporary directory with the last token in it. */
  dispose(): Promise<void>
}

const MODULE_PATHS = [
  '/usr/lib/softhsm/libsofthsm2.so',
  ...['x86_64', 'aarch64'].map((cpu) => `/usr/lib/${cpu}-linux-gnu/softhsm/libsofthsm2.so`),
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/usr/lib64/softhsm/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
]
const CRYPTOKI_NOT_INITIALIZED = 0x190
const run = promisify(execFile)

/** The directory that tokens share, once there was one, and how many are in it. */
let shared: Promise<string> | undefined
let sharedTokens = 0

/**
 * Makes a SoftHSM token with a random PIN, for tests and trials, and points `SOFTHSM2_CONF` of this
 * process at it. Call it on the main thread (a worker's `process.env` is a copy that the library
 * does not see) and before anything else has initialised SoftHSM in this process.
 * @throws {KeystayError} `softhsm_missing`
 */
export async function createSoftHsmToken(options: SoftHsmOptions = {}): Promise<SoftHsmToken> {
  const { label = `keystay-${randomBytes(6).toString('hex')}`, directory: given } = options
  const modulePath = findModule(options.modulePath)
  const directory = given ?? (await enterSharedDirectory())
  const confPath = join(directory, 'softhsm2.conf')
  const tokenDirectory = join(directory, 'tokens')
  await mkdir(tokenDirectory, { recursive: true, mode: 0o700 })
  await writeFile(
    confPath,
    `directories.tokendir = ${tokenDirectory}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  )
  process.env['SOFTHSM2_CONF'] = confPath

  const pin = randomPin()
  const pinFile = join(directory, `${label}.pin`)
  await writeFile(pinFile, pin, { mode: 0o600 })
  await chmod(pinFile, 0o600)
  const util: SoftHsmUtil = (...args) => runUtil(modulePath, confPath, args)
  await initializeToken(modulePath, util, label, pin)

  let disposal: Promise<void> | undefined
  const dispose = () => {
    disposal ??= disposeToken(util, label, pinFile, given === undefined)
    return disposal
  }
  return {
    uri: `pkcs11:token=${encodeURIComponent(label)}?module-path=${modulePath}&pin-source=file:${pinFile}`,
    label,
    modulePath,
    directory,
    confPath,
    env: { SOFTHSM2_CONF: confPath },
    pinFile,
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}

function findModule(given: string | undefined): string {
  const wanted = given ?? process.env['SOFTHSM2_MODULE']
  const found = (wanted === undefined ? MODULE_PATHS : [wanted]).find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new KeystayError(
    'softhsm_missing',
    `SoftHSM's library is not ${wanted === undefined ? 'where systems install it' : `at ${wanted}`}; install it (apt install softhsm2, dnf install softhsm, brew install softhsm) or set SOFTHSM2_MODULE to its path`,
  )
}

async function enterSharedDirectory(): Promise<string> {
  sharedTokens++
  shared ??= mkdtemp(join(tmpdir(), 'keystay-softhsm-'))
  return shared
}

async function disposeToken(
  softhsmUtil: SoftHsmUtil,
  label: string,
  pinFile: string,
  isShared: boolean,
): Promise<void> {
  await softhsmUtil('--delete-token', '--token', label)
  await rm(pinFile, { force: true })
  if (!isShared || --sharedTokens > 0) return
  await rm((await shared) ?? pinFile, { recursive: true, force: true })
}

/** Digits: what every token takes. */
function randomPin(): string {
  return Array.from({ length: 12 }, () => randomInt(10)).join('')
}

type SoftHsmUtil = (...args: string[]) => Promise<void>

async function runUtil(
  modulePath: string,
  confPath: string,
  args: readonly string[],
): Promise<void> {
  try {
    await run('softhsm2-util', ['--module', modulePath, ...args], {
      env: { ...process.env, SOFTHSM2_CONF: confPath },
    })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw withoutArguments(error)
    throw new KeystayError(
      'softhsm_missing',
      'the program softhsm2-util is not on the PATH; install SoftHSM (apt install softhsm2, dnf install softhsm, brew install softhsm)',
    )
  }
}

/** The error of a failed program shows its arguments, and with them the PIN. */
function withoutArguments(error: unknown): Error {
  const { stderr = '', stdout = '' } = error as { stderr?: string; stdout?: string }
  return new Error(`softhsm2-util failed: ${stderr}${stdout}`)
}

async function initializeToken(
  modulePath: string,
  softhsmUtil: SoftHsmUtil,
  label: string,
  pin: string,
): Promise<void> {
  const securityOfficerPin = randomPin()
  const module = openInitializedModule(modulePath)
  if (module === undefined) {
    const pins = ['--pin', pin, '--so-pin', securityOfficerPin]
    await softhsmUtil('--init-token', '--free', '--label', label, ...pins)
    return
  }
  const slots = module.C_GetSlotList(true)
  const free = slots[slots.length - 1] ?? Buffer.alloc(0)
  module.C_InitToken(free, securityOfficerPin, label.padEnd(32))
  const session = module.C_OpenSession(free, 0x6)
  module.C_Login(session, 0, securityOfficerPin)
  module.C_InitPIN(session, pin)
  module.C_Logout(session)
  module.C_CloseSession(session)
}

/** What of `pkcs11js` makes a token. */
interface TokenMaker {
  load(path: string): void
  C_GetInfo(): unknown
  C_GetSlotList(present: boolean): Buffer[]
  C_InitToken(slot: Buffer, pin: string, label: string): unknown
  C_OpenSession(slot: Buffer, flags: number): Buffer
  C_Login(session: Buffer, user: number, pin: string): void
  C_InitPIN(session: Buffer, pin: string): void
  C_Logout(session: Buffer): void
  C_CloseSession(session: Buffer): void
}

/**
 * The library, where this process has initialised it. It then does not see tokens that other
 * programs make, and has to make them itself.
 */
function openInitializedModule(modulePath: string): TokenMaker | undefined {
  let module: TokenMaker
  try {
    const { PKCS11 } = createRequire(import.meta.url)('pkcs11js') as {
      PKCS11: new () => TokenMaker
    }
    module = new PKCS11()
  } catch {
    // Not installed: then nothing here can have initialised the library.
    return undefined
  }
  module.load(modulePath)
  try {
    module.C_GetInfo()
    return module
  } catch (error) {
    if ((error as { code?: unknown }).code === CRYPTOKI_NOT_INITIALIZED) return undefined
    throw error
  }
}
