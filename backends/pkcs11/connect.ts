import { KEY_TYPE_NAMES } from '../../src/csr/algorithms.ts'
import { KeystayError } from '../../src/errors.ts'
import type { DiagnosisStep } from '../../src/key/backend.ts'
import { redactUri } from '../../src/key/uri.ts'
import { CKF } from './cryptoki.ts'
import { loadDriver } from './driver.ts'
import { toKeystayError } from './failures.ts'
import { readCapabilities, type MechanismTable } from './mechanisms.ts'
import { findModule, type CryptokiModule } from './module.ts'
import type { TokenInfo } from './operation-types.ts'
import { readSettings, type Pkcs11BackendOptions, type Settings } from './options.ts'
import type { LoginOutcome } from './login.ts'
import { findToken, type Token } from './token.ts'
import { formatTokenUri, parseBackendAddress, type TokenQuery } from './uri.ts'

/** A token that is logged in to, and what is needed to use it. */
export interface Connection {
  readonly token: Token
  readonly settings: Settings
  readonly mechanisms: MechanismTable
  /** Gives the token and the module back. */
  readonly release: () => Promise<void>
}

/** The steps of {@link connect}, each of which reports once. */
export const STEP_NAMES = [
  'URI',
  'driver',
  'module',
  'token',
  'PIN state',
  'PIN source',
  'login',
  'mechanisms',
  'sessions',
] as const

type Finding = Omit<DiagnosisStep, 'name'>

function ok(detail: string): Finding {
  return { status: 'ok', detail }
}

/**
 * The way to a token, step by step: opening a backend and diagnosing one go the same way. Throws
 * what stops it; what it has taken until then is given back.
 */
export async function* connect(
  uri: string,
  options: Pkcs11BackendOptions,
): AsyncGenerator<Finding, Connection> {
  const address = parseBackendAddress(uri)
  const settings = readSettings(address, options)
  const { access } = settings
  yield ok(redactUri(uri))

  const driver = await loadDriver(options.pkcs11js)
  yield ok('pkcs11js loads')

  const { libraryParameters = address.libraryParameters } = options
  const module = await findModule(address.modulePath, driver, libraryParameters)
  const leave: (() => void | Promise<void>)[] = []
  const release = async () => {
    for (const step of leave.splice(0).reverse()) await step()
  }
  let connected = false
  try {
    await module.enter()
    leave.push(() => {
      module.leave()
    })
    yield await describeModule(module)

    const info = chooseToken(await listTokens(module), address)
    const token = findToken(module, info)
    await token.enter(access, info)
    leave.push(() => token.leave(access))
    yield ok(
      `${formatTokenUri(token.identity)} (${info.manufacturer} ${info.model}), slot ${info.slotId}`,
    )

    yield describePinState(await token.checkPinState(access))
    const pin = token.loginRequired ? await access.readPin() : undefined
    yield ok(pin === undefined ? 'the token asks for no PIN' : 'a PIN was read')
    yield describeLogin(pin === undefined ? 'unneeded' : await token.login(pin))

    const mechanisms = await listMechanisms(module, token)
    yield describeMechanisms(mechanisms)
    yield describeSessions(token, await module.readToken(token.info.slot))
    connected = true
    return { token, settings, mechanisms, release }
  } finally {
    if (!connected) await release()
  }
}

async function listTokens(module: CryptokiModule): Promise<TokenInfo[]> {
  try {
    return await module.listTokens()
  } catch (error) {
    throw toKeystayError(error, `${module.path} does not list its tokens`)
  }
}

async function listMechanisms(module: CryptokiModule, token: Token): Promise<MechanismTable> {
  try {
    const list = await module.listMechanisms(token.info.slot)
    return new Map(list.map((info) => [info.mechanism, info]))
  } catch (error) {
    throw toKeystayError(error, 'the token does not list its mechanisms')
  }
}

/**
 * The one token that everything given fits.
 * @throws {KeystayError} `token_not_found`, `token_ambiguous`, `token_uninitialized`
 */
export function chooseToken(tokens: readonly TokenInfo[], query: TokenQuery): TokenInfo {
  const matching = tokens.filter(
    (info) =>
      (query.token ?? info.label) === info.label &&
      (query.serial ?? info.serial) === info.serial &&
      (query.manufacturer ?? info.manufacturer) === info.manufacturer &&
      (query.model ?? info.model) === info.model &&
      (query.slotId ?? info.slotId) === info.slotId,
  )
  // Some modules (SoftHSM) always show one more, empty token.
  const initialized = matching.filter(({ flags }) => (flags & CKF.TOKEN_INITIALIZED) !== 0)
  const [token, ...others] = initialized
  if (token !== undefined && others.length === 0) return token
  if (token !== undefined) {
    throw new KeystayError(
      'token_ambiguous',
      `${initialized.length} tokens fit (${listNames(initialized)}); name one by token= and serial=`,
    )
  }
  if (matching.length > 0) {
    throw new KeystayError(
      'token_uninitialized',
      'the token has not been initialised; initialise it (for instance with softhsm2-util --init-token, or pkcs11-tool --init-token and --init-pin)',
    )
  }
  throw new KeystayError(
    'token_not_found',
    `no token fits; the module has ${listNames(tokens) || 'none at all'}: check token= and serial= in the URI, and that the device is connected`,
  )
}

function listNames(tokens: readonly TokenInfo[]): string {
  return tokens
    .filter(({ flags }) => (flags & CKF.TOKEN_INITIALIZED) !== 0)
    .map((info) => `${formatTokenUri(info)} in slot ${info.slotId}`)
    .join(', ')
}

async function describeModule(module: CryptokiModule): Promise<Finding> {
  const detail = `${module.path}: ${await module.describe()}`
  if (module.isThreaded) return ok(detail)
  return {
    status: 'warning',
    detail: `${detail}; its calls run in this thread and block it`,
    remedy: 'let keystay load pkcs11js from node_modules, outside of a bundle',
  }
}

function describePinState({ flags, label }: TokenInfo): Finding {
  if ((flags & CKF.USER_PIN_FINAL_TRY) !== 0) {
    return {
      status: 'warning',
      detail: 'one wrong PIN more locks the token',
      remedy: `make sure of the PIN of ${JSON.stringify(label)} first`,
    }
  }
  if ((flags & CKF.USER_PIN_COUNT_LOW) !== 0) {
    return {
      status: 'warning',
      detail: 'a wrong PIN has been tried since the last login',
      remedy: 'find out who tried it; a login with the right one resets the count',
    }
  }
  if ((flags & CKF.USER_PIN_TO_BE_CHANGED) !== 0) {
    return {
      status: 'warning',
      detail: 'the PIN is one that must be changed',
      remedy: 'set a new user PIN, for instance with pkcs11-tool --change-pin',
    }
  }
  return ok('no wrong PIN has been tried')
}

function describeLogin(outcome: LoginOutcome): Finding {
  switch (outcome) {
    case 'accepted':
      return ok('the token accepted the PIN')
    case 'shared':
      return ok('the PIN is the one that this process is logged in with')
    case 'unneeded':
      return ok('no login is needed')
    case 'unchecked':
      return {
        status: 'warning',
        detail:
          'other code in this process was logged in already, so the token did not look at the PIN',
        remedy: 'run this in a process of its own to have the PIN checked',
      }
  }
}

function describeMechanisms(mechanisms: MechanismTable): Finding {
  const { keyTypes, signatureAlgorithms } = readCapabilities(mechanisms)
  if (keyTypes.length === 0) {
    return {
      status: 'failed',
      detail: 'the token can generate and sign with no key type that keystay knows',
      remedy: `it must offer one of ${KEY_TYPE_NAMES.join(', ')}: check the vendor's policy settings`,
    }
  }
  const missing = KEY_TYPE_NAMES.filter((name) => !keyTypes.includes(name))
  const lack = missing.length === 0 ? '' : `; not ${missing.join(', ')}`
  return ok(
    `keys: ${keyTypes.join(', ')}${lack}; signatures: ${[...new Set(Object.values(signatureAlgorithms).flat())].join(', ')}`,
  )
}

function describeSessions(token: Token, { maxSessions, sessions }: TokenInfo): Finding {
  const used = `keystay uses at most ${token.sessionLimit}`
  if (maxSessions === undefined) return ok(`${used}; the token names no limit`)
  const free = sessions === undefined ? '' : `, of which ${maxSessions - sessions} are free`
  return ok(`${used}; the token has ${maxSessions}${free}`)
}
