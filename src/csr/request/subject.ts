import {
  SUBJECT_FIELDS,
  attributeTypeByName,
  attributeTypeByOid,
  type AttributeType,
  type SubjectField,
} from './attribute-types.ts'
import { sortSetOf, writeBytes, writeHeader, writeString } from '../der/der-writer.ts'
import type { DerWriter } from '../der/der-writer.ts'
import { checkDnsName } from '../names/dns-name.ts'
import { checkEmailAddress } from '../names/email-address.ts'
import { encodeOid } from '../der/oid.ts'
import {
  STRING_TAGS,
  checkArray,
  checkObject,
  checkStringType,
  checkText,
  pointerTo,
  refuse,
  refuseRest,
  show,
} from '../checks.ts'
import type { StringType } from '../checks.ts'

/** An attribute of a type that keystay has no name for. */
export interface OtherSubjectAttribute {
  /** Dotted. */
  readonly oid: string
  readonly value: string
  /** Default `utf8`. */
  readonly stringType?: StringType | undefined
}

/** One attribute of a subject that is given RDN by RDN. */
export type SubjectAttribute =
  { readonly type: SubjectField; readonly value: string } | OtherSubjectAttribute

/** A subject by the names of its attributes: encoded in the usual order, one attribute per RDN. */
export type SubjectFields = {
  readonly [Field in SubjectField]?: string | readonly string[] | undefined
} & { readonly other?: readonly OtherSubjectAttribute[] | undefined }

/**
 * A subject: by names, or, where the order or RDNs of several attributes matter, RDN by RDN, the
 * most significant first.
 */
export type Subject = SubjectFields | readonly (readonly SubjectAttribute[])[]

/** An attribute that has been checked and only needs to be written. */
export interface CheckedAttribute {
  readonly oidDer: Uint8Array
  readonly tag: number
  readonly value: string
  readonly rank: number
}

/** A checked subject: its RDNs, of one attribute or several. */
export type CheckedSubject = readonly (readonly CheckedAttribute[])[]

/**
 * Answers what stands for a common name: the name itself, or its A-label form where the same
 * international name has been converted among the SANs.
 */
export type ReplaceCommonName = (value: string, pointer: string) => string

/**
 * Checks a subject.
 * @throws {KeystayError} `field_unknown`, `field_invalid`, `subject_…`, `text_…`, `dns_…`,
 *   `email_…`, `oid_invalid`
 */
export function checkSubject(
  subject: Subject | undefined,
  replaceCommonName: ReplaceCommonName,
): CheckedSubject {
  if (subject === undefined) return []
  if (isRdnList(subject)) return checkRdns(subject, replaceCommonName)
  checkObject(subject, '/subject', 'an object, or an array of RDNs')
  const checked: CheckedAttribute[] = []
  for (const name of Object.keys(subject)) {
    const value: unknown = subject[name as SubjectField]
    if (value === undefined) continue
    const type = attributeTypeByName(name)
    if (type !== undefined) checkField(type, value, replaceCommonName, checked)
    else if (name === 'other') checkOthers(value, '/subject/other', checked)
    else refuseUnknown(name, pointerTo('/subject', name))
  }
  return inUsualOrder(checked).map((attribute) => [attribute])
}

/** Sorts by rank; values of one type keep the order in which they were given. */
function inUsualOrder(attributes: CheckedAttribute[]): CheckedAttribute[] {
  // Most subjects are given in the usual order, and calling `sort` costs more than looking.
  const ordered = attributes.every(({ rank }, index) => rank >= (attributes[index - 1]?.rank ?? 0))
  return ordered ? attributes : attributes.sort((one, other) => one.rank - other.rank)
}

function isRdnList(subject: Subject): subject is readonly (readonly SubjectAttribute[])[] {
  return Array.isArray(subject)
}

function refuseUnknown(name: unknown, pointer: string): never {
  refuse(
    'field_unknown',
    pointer,
    `subject attribute ${show(name)} is not known; use one of ${SUBJECT_FIELDS.join(', ')}, or other with its OID`,
  )
}

function checkField(
  type: AttributeType,
  value: unknown,
  replaceCommonName: ReplaceCommonName,
  checked: CheckedAttribute[],
): void {
  const pointer = `/subject/${type.name}`
  if (!Array.isArray(value)) {
    checked.push(checkKnown(type, value, pointer, replaceCommonName))
    return
  }
  if (value.length > 1 && !type.repeats) {
    refuse('subject_value_repeated', pointer, `${pointer} can be given once only`)
  }
  if (value.length === 0) {
    refuse('text_empty', pointer, `${pointer} is an empty array; leave it out instead`)
  }
  for (const [index, item] of value.entries()) {
    checked.push(checkKnown(type, item, `${pointer}/${index}`, replaceCommonName))
  }
}

function checkKnown(
  type: AttributeType,
  value: unknown,
  pointer: string,
  replaceCommonName: ReplaceCommonName,
): CheckedAttribute {
  const { name, stringType, max, oidDer, rank } = type
  if (max === 2) checkCountry(value, pointer)
  checkText(value, pointer, max)
  checkStringType(value, stringType, pointer)
  if (name === 'domainComponent') checkDomainComponent(value, pointer)
  else if (name === 'emailAddress') checkEmailAddress(value, pointer)
  const written = name === 'commonName' ? replaceCommonName(value, pointer) : value
  return { oidDer, tag: STRING_TAGS[stringType], value: written, rank }
}

/** ISO 3166-1 alpha-2, in the upper case that the standard and the CAs write. */
function checkCountry(value: unknown, pointer: string): void {
  if (typeof value !== 'string' || /^[A-Z]{2}$/.test(value)) return
  const right = /^[A-Za-z]{2}$/.test(value) ? value.toUpperCase() : 'US'
  refuse(
    'subject_country_invalid',
    pointer,
    `${pointer} must be a country code of two upper-case letters (ISO 3166), such as ${right}; it is ${show(value)}`,
  )
}

/** RFC 4519 section 2.4: one label of a domain name. */
function checkDomainComponent(value: string, pointer: string): void {
  if (value.includes('.') || value === '*') {
    refuse(
      'dns_label_character',
      pointer,
      `${pointer} is one label; give example.com as ["com", "example"]`,
    )
  }
  if (!/^\d+$/.test(value)) checkDnsName(value, pointer)
}

function checkOthers(value: unknown, pointer: string, checked: CheckedAttribute[]): void {
  checkArray(value, pointer)
  for (const [index, item] of value.entries()) checked.push(checkOther(item, `${pointer}/${index}`))
}

function checkOther(attribute: unknown, pointer: string): CheckedAttribute {
  checkObject(attribute, pointer, '{oid, value}')
  const { oid, value, stringType = 'utf8', ...rest } = attribute as Partial<OtherSubjectAttribute>
  refuseRest(rest, pointer, 'oid, value, stringType')
  const oidDer = encodeOid(oid, `${pointer}/oid`)
  const known = attributeTypeByOid(oid ?? '')
  if (known !== undefined) {
    refuse(
      'subject_oid_known',
      `${pointer}/oid`,
      `${oid} is ${known.name}; give it by that name, so that its type and bound are kept`,
    )
  }
  if (!Object.hasOwn(STRING_TAGS, stringType)) {
    refuse(
      'subject_string_type_unknown',
      `${pointer}/stringType`,
      `string type ${show(stringType)} is not known; use one of ${Object.keys(STRING_TAGS).join(', ')}`,
    )
  }
  checkText(value, `${pointer}/value`, Number.POSITIVE_INFINITY)
  checkStringType(value, stringType, `${pointer}/value`)
  return { oidDer, tag: STRING_TAGS[stringType], value, rank: SUBJECT_FIELDS.length }
}

function checkRdns(
  rdns: readonly (readonly SubjectAttribute[])[],
  replaceCommonName: ReplaceCommonName,
): CheckedSubject {
  return rdns.map((rdn: unknown, index) => {
    const pointer = `/subject/${index}`
    checkArray(rdn, pointer)
    if (rdn.length === 0) {
      refuse('subject_rdn_empty', pointer, `${pointer} is an RDN without an attribute`)
    }
    const checked = rdn.map((attribute, place) =>
      checkRdnAttribute(attribute, `${pointer}/${place}`, replaceCommonName),
    )
    // X.501 section 9.3: the types of one RDN's attributes are distinct.
    if (new Set(checked.map(({ oidDer }) => oidDer.join())).size < checked.length) {
      refuse('subject_value_repeated', pointer, `${pointer} has an attribute type twice in one RDN`)
    }
    return checked
  })
}

function checkRdnAttribute(
  attribute: unknown,
  pointer: string,
  replaceCommonName: ReplaceCommonName,
): CheckedAttribute {
  checkObject(attribute, pointer, '{type, value} or {oid, value}')
  const { type, value, ...rest } = attribute
  if (type === undefined) return checkOther(attribute, pointer)
  refuseRest(rest, pointer, 'type, value')
  const known = typeof type === 'string' ? attributeTypeByName(type) : undefined
  if (known === undefined) refuseUnknown(type, `${pointer}/type`)
  return checkKnown(known, value, `${pointer}/value`, replaceCommonName)
}

/** Writes a Name (RFC 5280 section 4.1.2.4). */
export function writeSubject(writer: DerWriter, subject: CheckedSubject): void {
  const end = writer.length
  for (let index = subject.length - 1; index >= 0; index--) {
    const rdn = subject[index] ?? []
    const setEnd = writer.length
    for (const attribute of rdn) writeAttribute(writer, attribute)
    if (rdn.length > 1) sortSetOf(writer, setEnd)
    writeHeader(writer, 0x31, setEnd)
  }
  writeHeader(writer, 0x30, end)
}

function writeAttribute(writer: DerWriter, { oidDer, tag, value }: CheckedAttribute): void {
  const end = writer.length
  writeString(writer, tag, value)
  writeBytes(writer, oidDer)
  writeHeader(writer, 0x30, end)
}
