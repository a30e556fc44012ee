import { KeystayError } from '../../src/errors.ts'
import type { CallOptions } from '../../src/csr/signing-key.ts'
import { readSecretSource } from '../secret-source.ts'
import {
  isVendorProfile,
  VENDOR_PROFILES,
  type TemplateHook,
  type VendorProfile,
} from './key-template.ts'
import type { TokenAccess } from './token.ts'
import type { BackendAddress } from './uri.ts'

/** How long a device may take to answer, unless told otherwise. */
export const DEFAULT_TIMEOUT_MS = 30_000
const DEFAULT_GENERATE_TIMEOUT_MS = 300_000

/** What `openPkcs11Backend` can be given beside the URI. The signal is for opening only. */
export interface Pkcs11BackendOptions extends CallOptions {
  /** The package `pkcs11js`, where the caller has loaded it already. */
  readonly pkcs11js?: object | undefined
  /** The user PIN, or where it comes from; asked again at each login. Goes before the URI's. */
  readonly pin?: string | (() => string | Promise<string>) | undefined
  /** Accepts `pin-value` in the URI, where it may be logged by others. Default false. */
  readonly allowPinValue?: boolean | undefined
  /** Tries the PIN even where a wrong one would lock the token. Default false. */
  readonly allowFinalTry?: boolean | undefined
  /** What is known of the vendor's tokens. Default: the URI's, or `generic`. */
  readonly profile?: VendorProfile | undefined
  /** Changes the attributes of new keys, after the profile. */
  readonly template?: TemplateHook | undefined
  /** Sessions, and with them threads, that the token gets at most. Default 4, or the URI's. */
  readonly maxSessions?: number | undefined
  /** How long to wait for an answer. Default 30 s. */
  readonly operationTimeoutMs?: number | undefined
  /** The same for new keys: cards take minutes for RSA. Default 5 min. */
  readonly generateTimeoutMs?: number | undefined
  /**
   * Whether the module may be finalised and initialised to find a lost device again, where nothing
   * else helps. Set it to `false` where other code in the process uses the module. Default true.
   */
  readonly reinitialize?: boolean | undefined
  /** What NSS wants at initialisation, such as `configdir='sql:/path' …`. Default: the URI's. */
  readonly libraryParameters?: string | undefined
}

/** The options with their defaults. */
export interface Settings {
  readonly profile: VendorProfile
  readonly template: TemplateHook
  readonly operationTimeoutMs: number
  readonly generateTimeoutMs: number
  readonly access: TokenAccess
}

/**
 * Checks the options and fills in what was left out.
 * @throws {KeystayError} `pin_value_refused` @throws {TypeError} for options that cannot be meant
 */
export function readSettings(address: BackendAddress, options: Pkcs11BackendOptions): Settings {
  const { profile = address.profile ?? 'generic', maxSessions = address.maxSessions } = options
  if (!isVendorProfile(profile)) {
    throw new TypeError(`options.profile must be one of ${Object.keys(VENDOR_PROFILES).join(', ')}`)
  }
  if (maxSessions !== undefined && (!Number.isInteger(maxSessions) || maxSessions < 1)) {
    throw new TypeError('options.maxSessions must be a positive integer')
  }
  if (address.pinValue !== undefined && options.allowPinValue !== true) {
    throw new KeystayError(
      'pin_value_refused',
      'a PIN in a URI ends up in logs and process lists: use pin-source=file:/path or pin-source=env:NAME, or set allowPinValue',
    )
  }
  return {
    profile,
    template: options.template ?? ((template) => template),
    operationTimeoutMs: options.operationTimeoutMs ?? DEFAULT_TIMEOUT_MS,
    generateTimeoutMs: options.generateTimeoutMs ?? DEFAULT_GENERATE_TIMEOUT_MS,
    access: {
      readPin: () => readPin(address, options),
      allowFinalTry: options.allowFinalTry ?? false,
      maxSessions,
      vagueErrors: VENDOR_PROFILES[profile].vagueErrors,
      allowReinitialize: options.reinitialize ?? true,
    },
  }
}

async function readPin(address: BackendAddress, { pin }: Pkcs11BackendOptions): Promise<string> {
  const value =
    typeof pin === 'function'
      ? await pin()
      : (pin ??
        (address.pinSource === undefined
          ? address.pinValue
          : await readSecretSource(address.pinSource, 'pin-source')))
  if (value === undefined || value === '') {
    throw new KeystayError(
      'pin_missing',
      'the token wants a PIN; add pin-source=file:/path or pin-source=env:NAME to the URI, or give the option pin',
    )
  }
  return value
}
