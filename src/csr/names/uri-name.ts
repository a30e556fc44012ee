import { parseIpAddress } from './ip-address.ts'
import { refuse, show } from '../checks.ts'

/** RFC 3986 section 2: the characters of a URI, a percent sign only before two hex digits. */
const CHARACTERS = /^(?:[\w\-.~:/?#[\]@!$&'()*+,;=]|%[0-9a-fA-F]{2})*$/
const SCHEME = /^[a-z][a-z0-9+.-]*:(?=.)/i
/** An authority: user information, a host or a bracketed address, a port. */
const AUTHORITY = /^(?:[^@[\]]*@)?(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::\d{0,5})?$/i

/**
 * Refuses what is not a URI as a certificate carries it: absolute, ASCII, and with a host where
 * there is an authority (RFC 5280 section 4.2.1.6).
 * @throws {KeystayError} `uri_san_relative`, `uri_san_character`, `uri_san_host`
 */
export function checkUri(uri: string, pointer: string): void {
  const [scheme] = SCHEME.exec(uri) ?? []
  if (scheme === undefined) {
    refuse(
      'uri_san_relative',
      pointer,
      `${show(uri)} is not an absolute URI; it must begin with a scheme, such as https://`,
    )
  }
  if (!CHARACTERS.test(uri)) {
    refuse(
      'uri_san_character',
      pointer,
      `${show(uri)} has a character that no URI holds; percent-encode it, and give a host as A-labels`,
    )
  }
  const rest = uri.slice(scheme.length)
  if (!rest.startsWith('//')) return
  const [authority = ''] = rest.slice(2).split(/[/?#]/, 1)
  const [, address, host] = AUTHORITY.exec(authority) ?? []
  if (address === undefined ? host === undefined : parseIpAddress(address)?.length !== 16) {
    refuse(
      'uri_san_host',
      pointer,
      `${show(uri)} must name a host, a domain name or an IP address, after //`,
    )
  }
}
