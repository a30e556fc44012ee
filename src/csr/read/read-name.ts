import { toHex } from '../der/bytes.ts'
import { attributeTypeByOid, type SubjectField } from '../request/attribute-types.ts'
import { bytesOf, decodeOid, expectTag, readChildren, type DerElement } from '../der/der-reader.ts'
import { KeystayError } from '../../errors.ts'
import { readText, type Oddity } from './read-text.ts'

/** One attribute of a name as it was read. */
export interface ParsedAttribute {
  /** Dotted. */
  readonly oid: string
  /** Its name in a `Subject`, where it has one. */
  readonly name: SubjectField | undefined
  /** `undefined` where the value is no string. */
  readonly value: string | undefined
  /** Name of the ASN.1 string type. */
  readonly stringType: string | undefined
  /** The value as DER. */
  readonly der: Uint8Array
}

/** A distinguished name as it was read. */
export interface ParsedName {
  /** In the order of encoding, the most significant first. */
  readonly rdns: readonly (readonly ParsedAttribute[])[]
  /** RFC 4514: the most significant last. */
  readonly text: string
}

/**
 * Reads a Name (RFC 5280 section 4.1.2.4).
 * @throws {KeystayError} `der_invalid`
 */
export function readName(bytes: Uint8Array, name: DerElement, oddities: Oddity[]): ParsedName {
  expectTag(name, 0x30)
  const rdns = readChildren(bytes, name).map((rdn) => {
    expectTag(rdn, 0x31)
    const attributes = readChildren(bytes, rdn)
    if (attributes.length === 0) throw new KeystayError('der_invalid', 'an RDN is empty')
    return attributes.map((attribute) => readAttribute(bytes, attribute, oddities))
  })
  return { rdns, text: formatName(rdns) }
}

function readAttribute(
  bytes: Uint8Array,
  attribute: DerElement,
  oddities: Oddity[],
): ParsedAttribute {
  expectTag(attribute, 0x30)
  const [type, value] = readChildren(bytes, attribute, 2)
  expectTag(type, 0x06)
  if (value === undefined) {
    throw new KeystayError('der_invalid', 'an attribute of a name has no value')
  }
  const oid = decodeOid(bytes, type)
  const { text, stringType } = readText(bytes, value, oddities) ?? {}
  const der = bytesOf(bytes, value)
  return { oid, name: attributeTypeByOid(oid)?.name, value: text, stringType, der }
}

/** RFC 4514 section 2. */
function formatName(rdns: ParsedName['rdns']): string {
  return rdns.toReversed().map(formatRdn).join(',')
}

function formatRdn(rdn: readonly ParsedAttribute[]): string {
  return rdn.map(formatAttribute).join('+')
}

function formatAttribute({ oid, value, der }: ParsedAttribute): string {
  const shortName = attributeTypeByOid(oid)?.shortName
  // Section 2.4: a type without a short name shows its value as hexadecimal BER.
  if (shortName === undefined || value === undefined) return `${oid}=#${toHex(der)}`
  return `${shortName}=${escapeValue(value)}`
}

/** Section 2.4; control characters as hexadecimal too, so that the text is safe on a terminal. */
function escapeValue(value: string): string {
  return value
    .replace(/[,+"\\<>;]/g, '\\$&')
    .replace(/[\0-\x1f\x7f]/g, (character) => `\\${hexOctet(character)}`)
    .replace(/[\x80-\x9f]/g, (character) => `\\c2\\${hexOctet(character)}`)
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, '\\ ')
}

function hexOctet(character: string): string {
  return toHex(Uint8Array.of(character.charCodeAt(0)))
}
