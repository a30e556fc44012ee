import {
  createDerWriter,
  finishDer,
  writeBytes,
  writeElement,
  writeHeader,
  writeString,
  type DerWriter,
} from '../der/der-writer.ts'
import { checkDnsName, isAscii } from '../names/dns-name.ts'
import { checkEmailAddress } from '../names/email-address.ts'
import { toAsciiName } from '../names/idna.ts'
import { checkIpAddress } from '../names/ip-address.ts'
import { encodeOid } from '../der/oid.ts'
import {
  STRING_TAGS,
  checkArray,
  checkDerElement,
  checkObject,
  checkText,
  pointerTo,
  refuse,
  refuseRest,
  show,
} from '../checks.ts'
import { checkUri } from '../names/uri-name.ts'

/** One name of a request; a plain string is a DNS name. */
export type SubjectAltName =
  | string
  | { readonly dns: string }
  /** IPv4 or IPv6. */
  | { readonly ip: string }
  | { readonly email: string }
  /** Absolute, ASCII. */
  | { readonly uri: string }
  /** A Microsoft user principal name, such as `name@example.com`. */
  | { readonly upn: string }
  /** Any other kind: its OID, dotted, and its value as DER. */
  | { readonly otherName: { readonly oid: string; readonly value: Uint8Array } }

/** An international name that was converted because the request asked for it. */
export interface ConvertedName {
  /** As given. */
  readonly unicode: string
  /** As it stands in the request. */
  readonly ascii: string
  /** RFC 6901 JSON pointer of the value in the request. */
  readonly pointer: string
}

/** A GeneralName (RFC 5280 section 4.2.1.6) that has been checked: its tag and content. */
export interface CheckedName {
  readonly tag: number
  readonly content: string | Uint8Array
}

/** Tags of the GeneralName choices that keystay writes. */
export const NAME_TAGS = {
  otherName: 0xa0,
  email: 0x81,
  dns: 0x82,
  uri: 0x86,
  ip: 0x87,
} as const

/** Microsoft's OID of a user principal name. */
export const UPN_OID = '1.3.6.1.4.1.311.20.2.3'

const KINDS = 'a DNS name as a string, or {dns}, {ip}, {email}, {uri}, {upn} or {otherName}'

/**
 * Checks the names of a request.
 * @param converted gathers the names that were converted; `undefined` where that was not asked for
 * @throws {KeystayError} `field_invalid`, `san_…`, `dns_…`, `ip_…`, `email_…`, `uri_san_…`,
 *   `upn_invalid`, `other_name_invalid`, `oid_invalid`, `text_expected`
 */
export function checkSubjectAltNames(
  names: readonly SubjectAltName[] | undefined,
  converted: ConvertedName[] | undefined,
): CheckedName[] {
  if (names === undefined) return []
  checkArray(names, '/sans')
  const checked: CheckedName[] = []
  const seen = new Set<string>()
  for (let index = 0; index < names.length; index++) {
    const pointer = `/sans/${index}`
    const name = names[index]
    const result =
      typeof name === 'string'
        ? checkDns(name, pointer, converted)
        : checkTyped(name, pointer, converted)
    checked.push(result)
    seen.add(identify(result))
    if (seen.size < checked.length) {
      refuse(
        'san_repeated',
        pointer,
        `${pointer} repeats a name that was given before; give it once`,
      )
    }
  }
  return checked
}

/** Two names with one identity are the same name: the case of a DNS name is none (RFC 4343). */
function identify({ tag, content }: CheckedName): string {
  if (tag === NAME_TAGS.dns && typeof content === 'string') return content.toLowerCase()
  if (tag !== NAME_TAGS.email || typeof content !== 'string') return `${tag}:${content.toString()}`
  const at = content.lastIndexOf('@')
  return content.slice(0, at) + content.slice(at).toLowerCase()
}

function checkDns(
  given: string,
  pointer: string,
  converted: ConvertedName[] | undefined,
): CheckedName {
  const content = converted === undefined ? given : convert(given, '', pointer, converted)
  checkDnsName(content, pointer)
  return { tag: NAME_TAGS.dns, content }
}

/** A domain with what stands before it, the domain as A-labels; noted down where that changed it. */
function convert(
  domain: string,
  before: string,
  pointer: string,
  converted: ConvertedName[],
): string {
  if (isAscii(domain)) return before + domain
  const name = toAsciiName(domain)
  if (name === undefined) {
    refuse('dns_name_unconvertible', pointer, `${show(domain)} has no A-label form (UTS 46)`)
  }
  const ascii = before + name
  converted.push({ unicode: before + domain, ascii, pointer })
  return ascii
}

function checkTyped(
  name: unknown,
  parent: string,
  converted: ConvertedName[] | undefined,
): CheckedName {
  const [kind, another] = typeof name === 'object' && name !== null ? Object.keys(name) : []
  if (kind === undefined || another !== undefined) {
    refuse('san_kind_unknown', parent, `${parent} must be ${KINDS}`)
  }
  const pointer = pointerTo(parent, kind)
  const value = (name as Record<string, unknown>)[kind]
  if (kind === 'otherName') return checkOtherName(value, pointer)
  if (!['dns', 'ip', 'email', 'uri', 'upn'].includes(kind)) {
    refuse('san_kind_unknown', pointer, `${parent} is of unknown kind ${show(kind)}; give ${KINDS}`)
  }
  if (typeof value !== 'string') {
    refuse('text_expected', pointer, `${pointer} must be text, not ${show(value)}`)
  }
  if (kind === 'dns') return checkDns(value, pointer, converted)
  if (kind === 'ip') return { tag: NAME_TAGS.ip, content: checkIpAddress(value, pointer) }
  if (kind === 'upn') return checkUpn(value, pointer)
  if (kind === 'email') return checkEmail(value, pointer, converted)
  checkUri(value, pointer)
  return { tag: NAME_TAGS.uri, content: value }
}

function checkEmail(
  given: string,
  pointer: string,
  converted: ConvertedName[] | undefined,
): CheckedName {
  const domainAt = given.lastIndexOf('@') + 1
  const content =
    converted === undefined || domainAt === 0
      ? given
      : convert(given.slice(domainAt), given.slice(0, domainAt), pointer, converted)
  checkEmailAddress(content, pointer)
  return { tag: NAME_TAGS.email, content }
}

function checkUpn(value: string, pointer: string): CheckedName {
  checkText(value, pointer, 1024)
  if (!/^[^@]+@[^@]+$/.test(value)) {
    refuse(
      'upn_invalid',
      pointer,
      `${show(value)} is not a user principal name such as name@example.com`,
    )
  }
  const writer = createDerWriter(value.length + 16)
  writeString(writer, STRING_TAGS.utf8, value)
  return encodeOtherName(encodeOid(UPN_OID), finishDer(writer))
}

function checkOtherName(given: unknown, pointer: string): CheckedName {
  checkObject(given, pointer, '{oid, value}')
  const { oid, value, ...rest } = given
  refuseRest(rest, pointer, 'oid, value')
  const oidDer = encodeOid(oid, `${pointer}/oid`)
  return encodeOtherName(oidDer, checkDerElement(value, 'other_name_invalid', `${pointer}/value`))
}

/** The content of an otherName: its type, and its value inside `[0] EXPLICIT`. */
function encodeOtherName(oidDer: Uint8Array, value: Uint8Array): CheckedName {
  const writer = createDerWriter(value.length + oidDer.length + 8)
  writeElement(writer, 0xa0, value)
  writeBytes(writer, oidDer)
  return { tag: NAME_TAGS.otherName, content: finishDer(writer) }
}

/** Writes GeneralNames. */
export function writeSubjectAltNames(writer: DerWriter, names: readonly CheckedName[]): void {
  const end = writer.length
  for (let index = names.length - 1; index >= 0; index--) {
    const { tag, content } = names[index] as CheckedName
    if (typeof content === 'string') writeString(writer, tag, content)
    else writeElement(writer, tag, content)
  }
  writeHeader(writer, 0x30, end)
}
