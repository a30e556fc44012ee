import { toHex } from '../csr/der/bytes.ts'
import { KeystayError } from '../errors.ts'

/**
 * A backend or key URI in the shape of RFC 7512: `scheme:name=value;name=value?name=value&…`.
 * Values are percent-decoded, and only so: `+` is a plus.
 */
export interface KeyUri {
  readonly scheme: string
  /** What stands between the colon and the question mark, as written. */
  readonly path: string
  readonly query: ReadonlyMap<string, string>
}

const SCHEME = /^[a-z][a-z0-9+.-]*$/
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/**
 * Attributes whose value must not be shown, whatever the scheme (RFC 7512 section 2.4, and ours):
 * among them a source that is none, as it is likely the PIN itself. A value ends only where another
 * attribute begins, as a PIN may hold `&` and `;` by mistake.
 */
const SECRET_ATTRIBUTE =
  /((?:^|[?&;:])[a-z0-9-]*(?:pin|secret|passw(?:or)?d|passphrase)(?:-value|-source(?!=(?:file|env)(?::|%3a)))?=).*?(?=[?&;][a-z0-9-]+=|$)/gis

/** A URI as it may be shown: the values of secret attributes are replaced. */
export function redactUri(uri: string): string {
  return uri.replace(SECRET_ATTRIBUTE, '$1***')
}

/** A backend's URI as it may be stored, to open the backend again: none that holds a secret. */
export function addressOf(uri: string): string | undefined {
  return redactUri(uri) === uri ? uri : undefined
}

function invalid(uri: string, what: string): KeystayError {
  return new KeystayError('uri_invalid', `${redactUri(uri)} is not a valid URI: ${what}`)
}

/** The bytes of a percent-encoded value (RFC 3986 section 2.1). */
function percentDecode(uri: string, value: string): Uint8Array {
  const bytes = encoder.encode(value)
  const decoded = new Uint8Array(bytes.length)
  let length = 0
  for (let index = 0; index < bytes.length; index++) {
    let byte = bytes[index] ?? 0
    if (byte === 0x25) {
      const hex = String.fromCharCode(...bytes.subarray(index + 1, index + 3))
      if (!/^[0-9a-fA-F]{2}$/.test(hex)) {
        throw invalid(uri, 'a percent sign must be followed by two hexadecimal digits')
      }
      byte = Number.parseInt(hex, 16)
      index += 2
    }
    decoded[length++] = byte
  }
  return decoded.slice(0, length)
}

/**
 * A percent-encoded value as text.
 * @param name what the value is, for messages
 * @throws {KeystayError} `uri_invalid` (not UTF-8, or with control characters)
 */
export function decodeUriText(uri: string, name: string, value: string): string {
  const bytes = percentDecode(uri, value)
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    throw invalid(uri, `the value of ${name} is not UTF-8`)
  }
  if (/[\u0000-\u001f\u007f]/.test(text)) {
    throw invalid(uri, `the value of ${name} contains a control character`)
  }
  return text
}

function* splitPairs(uri: string, text: string, separator: string): Iterable<[string, string]> {
  const seen = new Set<string>()
  for (const pair of text === '' ? [] : text.split(separator)) {
    const equals = pair.indexOf('=')
    if (equals < 1) throw invalid(uri, 'each attribute is written name=value')
    const name = pair.slice(0, equals)
    if (seen.has(name)) {
      throw new KeystayError(
        'uri_attribute_repeated',
        `${redactUri(uri)} names the attribute ${JSON.stringify(name)} twice; name it once`,
      )
    }
    seen.add(name)
    yield [name, pair.slice(equals + 1)]
  }
}

/**
 * Takes a URI apart.
 * @throws {KeystayError} `uri_invalid`, `uri_attribute_repeated`
 */
export function parseKeyUri(uri: string): KeyUri {
  const colon = uri.indexOf(':')
  const scheme = uri.slice(0, Math.max(colon, 0)).toLowerCase()
  if (!SCHEME.test(scheme)) throw invalid(uri, 'it must begin with a scheme, such as pkcs11:')
  const question = uri.indexOf('?', colon)
  const path = uri.slice(colon + 1, question === -1 ? undefined : question)
  const query = new Map<string, string>()
  if (question !== -1) {
    for (const [name, value] of splitPairs(uri, uri.slice(question + 1), '&')) {
      query.set(name, decodeUriText(uri, name, value))
    }
  }
  return { scheme, path, query }
}

/**
 * The `name=value;…` attributes of a path, decoded as text.
 * @param binary the attributes whose value is bytes, given back as lower-case hexadecimal (CKA_ID)
 * @throws {KeystayError} `uri_invalid`, `uri_attribute_repeated`
 */
export function parsePathAttributes(
  uri: string,
  path: string,
  binary: readonly string[] = [],
): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>()
  for (const [name, value] of splitPairs(uri, path, ';')) {
    attributes.set(
      name,
      binary.includes(name) ? toHex(percentDecode(uri, value)) : decodeUriText(uri, name, value),
    )
  }
  return attributes
}

/**
 * Refuses names that a scheme does not know, listing those it does. The value is not shown: it may
 * be a secret under a mistyped name.
 * @throws {KeystayError} `uri_attribute_unknown`
 */
export function refuseUnknownAttributes(
  uri: string,
  given: Iterable<string>,
  known: readonly string[],
): void {
  for (const name of given) {
    if (known.includes(name)) continue
    throw new KeystayError(
      'uri_attribute_unknown',
      `${uri.slice(0, uri.indexOf(':'))}: URIs have no attribute ${JSON.stringify(name)}; known are ${known.join(', ')}`,
    )
  }
}

/** A text as an attribute's value: all but RFC 3986 unreserved characters percent-encoded. */
export function encodeUriText(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16)}`,
  )
}

/** Hexadecimal bytes as an attribute's value: every byte percent-encoded (RFC 7512 section 2.3). */
export function encodeUriBytes(hex: string): string {
  return hex.replace(/../g, '%$&')
}
