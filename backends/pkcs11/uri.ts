import { isAbsolute } from 'node:path'
import { KeystayError } from '../../src/errors.ts'
import {
  encodeUriBytes,
  encodeUriText,
  parseKeyUri,
  parsePathAttributes,
  redactUri,
  refuseUnknownAttributes,
} from '../../src/key/uri.ts'
import { isVendorProfile, VENDOR_PROFILES, type VendorProfile } from './key-template.ts'

/** Attributes of RFC 7512 section 2.3 that choose a token; all that are given must match. */
export interface TokenQuery {
  readonly token?: string | undefined
  readonly serial?: string | undefined
  readonly manufacturer?: string | undefined
  readonly model?: string | undefined
  /** CK_SLOT_ID. Changes when tokens are added to some modules: better not relied on. */
  readonly slotId?: number | undefined
}

/** A backend's URI, taken apart. */
export interface BackendAddress extends TokenQuery {
  readonly modulePath: string
  readonly pinSource?: string | undefined
  readonly pinValue?: string | undefined
  readonly maxSessions?: number | undefined
  readonly profile?: VendorProfile | undefined
  readonly libraryParameters?: string | undefined
}

/** A key's URI, taken apart. */
export interface KeyAddress extends TokenQuery {
  /** CKA_ID, hexadecimal. */
  readonly id?: string | undefined
  /** CKA_LABEL. */
  readonly object?: string | undefined
}

/** What names a token for ever. */
export interface TokenIdentity {
  readonly label: string
  readonly serial: string
}

const TOKEN_ATTRIBUTES = ['token', 'serial', 'manufacturer', 'model', 'slot-id'] as const
const KEY_ATTRIBUTES = [...TOKEN_ATTRIBUTES, 'id', 'object', 'type'] as const
const QUERY_ATTRIBUTES = [
  ...['module-path', 'pin-source', 'pin-value', 'max-sessions'],
  ...['profile', 'library-parameters'],
] as const

/** More sessions than this are more threads than a process should have for one token. */
const MOST_SESSIONS = 64

function invalid(uri: string, what: string): KeystayError {
  return new KeystayError('uri_invalid', `${redactUri(uri)}: ${what}`)
}

function parseCount(uri: string, name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^[0-9]{1,15}$/.test(text)) throw invalid(uri, `${name} must be a decimal number`)
  return Number(text)
}

function parseProfile(uri: string, name: string | undefined): VendorProfile | undefined {
  if (name === undefined || isVendorProfile(name)) return name
  throw invalid(uri, `profile must be one of ${Object.keys(VENDOR_PROFILES).join(', ')}`)
}

function parseTokenQuery(uri: string, attributes: ReadonlyMap<string, string>): TokenQuery {
  return {
    token: attributes.get('token'),
    serial: attributes.get('serial'),
    manufacturer: attributes.get('manufacturer'),
    model: attributes.get('model'),
    slotId: parseCount(uri, 'slot-id', attributes.get('slot-id')),
  }
}

/**
 * Reads `pkcs11:token=…;serial=…?module-path=…&pin-source=…&max-sessions=…`.
 * @throws {KeystayError} `uri_invalid`, `uri_scheme_unknown`, `uri_attribute_unknown`,
 *   `uri_attribute_repeated`
 */
export function parseBackendAddress(uri: string): BackendAddress {
  const { scheme, path, query } = parseKeyUri(uri)
  if (scheme !== 'pkcs11') {
    throw new KeystayError('uri_scheme_unknown', `${redactUri(uri)} does not begin with pkcs11:`)
  }
  const attributes = parsePathAttributes(uri, path)
  refuseUnknownAttributes(uri, attributes.keys(), TOKEN_ATTRIBUTES)
  refuseUnknownAttributes(uri, query.keys(), QUERY_ATTRIBUTES)
  const modulePath = query.get('module-path')
  if (modulePath === undefined || !isAbsolute(modulePath)) {
    throw invalid(
      uri,
      'module-path must be the absolute path of the PKCS#11 library, as in ?module-path=/usr/lib/softhsm/libsofthsm2.so',
    )
  }
  const maxSessions = parseCount(uri, 'max-sessions', query.get('max-sessions'))
  if (maxSessions !== undefined && (maxSessions < 1 || maxSessions > MOST_SESSIONS)) {
    throw invalid(uri, `max-sessions must be from 1 to ${MOST_SESSIONS}`)
  }
  return {
    ...parseTokenQuery(uri, attributes),
    modulePath,
    pinSource: query.get('pin-source'),
    pinValue: query.get('pin-value'),
    maxSessions,
    profile: parseProfile(uri, query.get('profile')),
    libraryParameters: query.get('library-parameters'),
  }
}

/**
 * Reads `pkcs11:token=…;serial=…;id=%…;object=…;type=private`.
 * @throws {KeystayError} `uri_invalid`, `key_uri_foreign`, `uri_attribute_unknown`,
 *   `uri_attribute_repeated`
 */
export function parseKeyAddress(uri: string): KeyAddress {
  const { scheme, path, query } = parseKeyUri(uri)
  if (scheme !== 'pkcs11') {
    throw new KeystayError('key_uri_foreign', `${redactUri(uri)} is not a key of a PKCS#11 backend`)
  }
  if (query.size > 0) {
    throw invalid(uri, "a key's URI has no query: module and PIN belong to the backend's URI")
  }
  const attributes = parsePathAttributes(uri, path, ['id'])
  refuseUnknownAttributes(uri, attributes.keys(), KEY_ATTRIBUTES)
  if ((attributes.get('type') ?? 'private') !== 'private') {
    throw invalid(uri, 'type must be private')
  }
  const id = attributes.get('id')
  const object = attributes.get('object')
  if ((id ?? object ?? '') === '') {
    throw invalid(uri, "a key's URI names it by id (CKA_ID) or by object (CKA_LABEL)")
  }
  return { ...parseTokenQuery(uri, attributes), id, object }
}

/** A token's URI, without module and PIN. */
export function formatTokenUri({ label, serial }: TokenIdentity): string {
  return `pkcs11:token=${encodeUriText(label)};serial=${encodeUriText(serial)}`
}

/** A key's URI, as libp11, pkcs11-tool and p11-kit read it too. */
export function formatKeyUri(
  token: TokenIdentity,
  id: Uint8Array | undefined,
  label: string | undefined,
): string {
  const idPart = id === undefined ? '' : `;id=${encodeUriBytes(Buffer.from(id).toString('hex'))}`
  const labelPart = label === undefined ? '' : `;object=${encodeUriText(label)}`
  return `${formatTokenUri(token)}${idPart}${labelPart};type=private`
}
