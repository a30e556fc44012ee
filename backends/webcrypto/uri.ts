import { KeystayError } from '../../src/errors.ts'
import {
  decodeUriText,
  encodeUriText,
  parseKeyUri,
  parsePathAttributes,
  redactUri,
  refuseUnknownAttributes,
} from '../../src/key/uri.ts'

/** What a `webcrypto:` backend URI says. */
export interface WebCryptoUri {
  /** As written, so perhaps relative; `undefined` in memory. */
  readonly directory: string | undefined
  readonly secretSource: string | undefined
}

/** The only form that ids of keys have. */
export const KEY_ID: RegExp = /^[0-9a-f]{32}-[0-9a-f]{32}$/

function refuseOtherScheme(uri: string, scheme: string): void {
  if (scheme === 'webcrypto') return
  throw new KeystayError('key_uri_foreign', `${redactUri(uri)} is not a webcrypto: URI`)
}

/**
 * Reads `webcrypto:` or `webcrypto:<directory>?secret-source=…`.
 * @throws {KeystayError} `uri_invalid`, `uri_attribute_unknown`, `key_uri_foreign`, …
 */
export function parseWebCryptoUri(uri: string): WebCryptoUri {
  const { scheme, path, query } = parseKeyUri(uri)
  refuseOtherScheme(uri, scheme)
  refuseUnknownAttributes(uri, query.keys(), ['secret-source'])
  const directory = path === '' ? undefined : decodeUriText(uri, 'the directory', path)
  const secretSource = query.get('secret-source')
  if (directory?.startsWith('keyring=')) {
    throw invalid(uri, 'it names a key; a backend is webcrypto:<directory>?secret-source=…')
  }
  if (directory?.startsWith('~')) throw invalid(uri, '~ is not expanded here; write the whole path')
  if (directory === undefined && secretSource !== undefined) {
    throw invalid(uri, 'secret-source needs a directory: webcrypto:<directory>?secret-source=…')
  }
  return { directory, secretSource }
}

function invalid(uri: string, what: string): KeystayError {
  return new KeystayError('uri_invalid', `${redactUri(uri)} is not a valid webcrypto: URI: ${what}`)
}

/** The URI of a backend, without where its secret comes from. */
export function formatWebCryptoUri(directory: string | undefined): string {
  return `webcrypto:${(directory ?? '').split('/').map(encodeUriText).join('/')}`
}

/** The URI of a key. It names the keyring by its id: the directory may move. */
export function formatKeyUri(keyring: string, id: string): string {
  return `webcrypto:keyring=${keyring};id=${id}`
}

/**
 * The id of a key from its URI.
 * @throws {KeystayError} `key_uri_foreign`, `uri_invalid`, `uri_attribute_unknown`, …
 */
export function parseWebCryptoKeyUri(uri: string, keyring: string): string {
  const { scheme, path, query } = parseKeyUri(uri)
  refuseOtherScheme(uri, scheme)
  const attributes = parsePathAttributes(uri, path)
  refuseUnknownAttributes(uri, [...attributes.keys(), ...query.keys()], ['keyring', 'id'])
  const id = attributes.get('id')
  if (id === undefined || !KEY_ID.test(id)) {
    throw invalid(uri, 'a key is webcrypto:keyring=<id of the keyring>;id=<id of the key>')
  }
  if (attributes.get('keyring') !== keyring) {
    throw new KeystayError(
      'key_uri_foreign',
      `${uri} names a key of another keyring; this one is ${keyring}`,
    )
  }
  return id
}
