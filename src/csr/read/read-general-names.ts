import {
  bytesOf,
  contentOf,
  decodeOid,
  expectTag,
  readChildren,
  readElement,
  readSingle,
  type DerElement,
} from '../der/der-reader.ts'
import { isAscii } from '../names/dns-name.ts'
import { formatIpAddress } from '../names/ip-address.ts'
import { readName, type ParsedName } from './read-name.ts'
import { readLatin1, readText, type Oddity } from './read-text.ts'
import { NAME_TAGS, UPN_OID, type SubjectAltName } from '../request/subject-alt-names.ts'

/** A name as it was read; what a request can give has the same shape as there. */
export type ParsedAltName =
  | Exclude<SubjectAltName, string>
  | { readonly directoryName: ParsedName }
  /** A dotted OID. */
  | { readonly registeredId: string }
  /** A kind or content that keystay does not read: the GeneralName as DER. */
  | { readonly unread: Uint8Array }

/**
 * Reads GeneralNames (RFC 5280 section 4.2.1.6).
 * @param value the bytes of the whole extension value
 * @throws {KeystayError} `der_invalid`
 */
export function readGeneralNames(value: Uint8Array, oddities: Oddity[]): ParsedAltName[] {
  return readChildren(value, readSingle(value, 0x30)).map((name) =>
    readGeneralName(value, name, oddities),
  )
}

function readGeneralName(bytes: Uint8Array, name: DerElement, oddities: Oddity[]): ParsedAltName {
  const content = contentOf(bytes, name)
  switch (name.tag) {
    case NAME_TAGS.dns:
      return { dns: readIa5(content, name, oddities) }
    case NAME_TAGS.email:
      return { email: readIa5(content, name, oddities) }
    case NAME_TAGS.uri:
      return { uri: readIa5(content, name, oddities) }
    case NAME_TAGS.ip: {
      const ip = formatIpAddress(content)
      return ip === undefined ? unread(bytes, name, oddities) : { ip }
    }
    case NAME_TAGS.otherName:
      return readOtherName(bytes, name, oddities)
    case 0xa4:
      return { directoryName: readName(bytes, onlyChild(bytes, name), oddities) }
    case 0x88:
      // IMPLICIT: the content is that of an OBJECT IDENTIFIER.
      return { registeredId: decodeOid(bytes, { ...name, tag: 0x06 }) }
    default:
      return unread(bytes, name, oddities)
  }
}

function unread(bytes: Uint8Array, name: DerElement, oddities: Oddity[]): ParsedAltName {
  oddities.push({
    code: 'name_unreadable',
    message: `an alternative name with tag 0x${name.tag.toString(16)} is of a kind or length that is not read`,
  })
  return { unread: bytesOf(bytes, name) }
}

function readIa5(content: Uint8Array, { start }: DerElement, oddities: Oddity[]): string {
  const text = readLatin1(content)
  if (!isAscii(text)) {
    oddities.push({
      code: 'string_out_of_charset',
      message: `the alternative name at byte ${start} is not ASCII`,
    })
  }
  return text
}

function onlyChild(bytes: Uint8Array, parent: DerElement): DerElement {
  const child = readElement(bytes, parent.contentStart, parent.end)
  if (child.end !== parent.end) expectTag(undefined, child.tag)
  return child
}

function readOtherName(bytes: Uint8Array, name: DerElement, oddities: Oddity[]): ParsedAltName {
  const [type, wrapped] = readChildren(bytes, name, 2)
  expectTag(type, 0x06)
  expectTag(wrapped, 0xa0)
  const value = onlyChild(bytes, wrapped)
  const oid = decodeOid(bytes, type)
  if (oid === UPN_OID) {
    const upn = readText(bytes, value, oddities)?.text
    if (upn !== undefined) return { upn }
  }
  return { otherName: { oid, value: bytesOf(bytes, value) } }
}
