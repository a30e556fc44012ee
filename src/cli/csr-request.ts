import { isIP } from 'node:net'
import type { KeyType } from '../csr/algorithms.ts'
import { SUBJECT_FIELDS, type SubjectField } from '../csr/request/attribute-types.ts'
import type { ExtKeyUsage, KeyUsage, RawExtension } from '../csr/request/extensions.ts'
import type { CsrRequest } from '../csr/request/request.ts'
import type { SubjectAltName } from '../csr/request/subject-alt-names.ts'
import type { OtherSubjectAttribute, Subject, SubjectFields } from '../csr/request/subject.ts'
import { usageError } from './failure.ts'

/** The options of `keystay csr` that say what to ask for; those of the subject by their fields. */
export interface RequestOptions extends Partial<Record<SubjectField, readonly string[]>> {
  readonly keyType?: KeyType
  readonly subjectOid?: readonly string[]
  readonly san?: readonly string[]
  readonly idn?: 'refuse' | 'convert'
  readonly keyUsage?: readonly string[]
  readonly extKeyUsage?: readonly string[]
  readonly ca?: boolean
  readonly pathLen?: string
  readonly mustStaple?: boolean
  readonly template?: string
  readonly extension?: readonly string[]
}

/**
 * A request with what the options ask for put over it. The values are for `CsrBuilder` to check.
 * @throws {KeystayError} `usage_invalid` where an option has not the form that its help shows
 */
export function applyOptions(base: CsrRequest, options: RequestOptions): CsrRequest {
  const { san, idn, keyUsage, extKeyUsage, mustStaple, template, extension } = options
  return {
    ...base,
    subject: applySubject(base.subject, options),
    sans: san?.map(parseSan) ?? base.sans,
    internationalNames: idn ?? base.internationalNames,
    keyUsage: (keyUsage as readonly KeyUsage[] | undefined) ?? base.keyUsage,
    extKeyUsage: (extKeyUsage as readonly ExtKeyUsage[] | undefined) ?? base.extKeyUsage,
    basicConstraints: parseBasicConstraints(options) ?? base.basicConstraints,
    tlsFeature: mustStaple === true ? ['status_request'] : base.tlsFeature,
    certificateTemplateName: template ?? base.certificateTemplateName,
    extensions: extension?.map(parseExtension) ?? base.extensions,
  }
}

/** The record's names of what options can say too. */
const RECORD_FIELDS: readonly (readonly [wire: string, field: SubjectField])[] = [
  ['country', 'country'],
  ['state', 'state'],
  ['locality', 'locality'],
  ['organization', 'organization'],
  ['organizational_unit', 'organizationalUnit'],
  ['common_name', 'commonName'],
]

/**
 * The record of a custom CSR with what options say in its place. Where an option is given several
 * times the record can take the first only; `applyOptions` puts in all.
 * @throws {KeystayError} `usage_invalid`
 */
export function overlayRecord(record: object, options: RequestOptions): object {
  const given = RECORD_FIELDS.map(([wire, field]) => [wire, options[field]?.[0]] as const)
  return {
    ...record,
    ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
    ...(options.san && { sans: options.san.map(parseSan) }),
    ...(options.keyType && { key_type: options.keyType }),
  }
}

function applySubject(base: Subject | undefined, options: RequestOptions): Subject | undefined {
  const given: Partial<Record<SubjectField, string | readonly string[]>> = {}
  for (const field of SUBJECT_FIELDS) {
    const values = options[field]
    // A list even of one would refuse fields that cannot repeat.
    if (values !== undefined) given[field] = values.length === 1 ? (values[0] ?? '') : values
  }
  const other = options.subjectOid?.map(parseSubjectOid)
  if (other === undefined && Object.keys(given).length === 0) return base
  return { ...(base as SubjectFields | undefined), ...given, ...(other && { other }) }
}

function parseSubjectOid(text: string): OtherSubjectAttribute {
  const [oid, value] = splitOnce(text)
  if (value === undefined) throw usageError(`--subject-oid must be OID=VALUE, not ${quote(text)}`)
  return { oid, value }
}

const TYPED_SAN = /^(dns|ip|email|uri|upn):(.*)$/s

/** One `--san`: typed by its prefix; without one an IP address, or else a DNS name. */
function parseSan(text: string): SubjectAltName {
  const [, kind, value = ''] = TYPED_SAN.exec(text) ?? []
  if (kind !== undefined) return { [kind]: value } as Exclude<SubjectAltName, string>
  if (isIP(text) !== 0) return { ip: text }
  if (text.includes(':')) {
    const uri = text.includes('://') ? `; for a URI write ${quote(`uri:${text}`)}` : ''
    throw usageError(
      `--san ${quote(text)} has an unknown prefix; known are dns:, ip:, email:, uri:, upn:${uri}`,
    )
  }
  return text
}

function parseBasicConstraints({ ca, pathLen }: RequestOptions): CsrRequest['basicConstraints'] {
  if (pathLen === undefined) return ca === true ? { ca } : undefined
  if (!/^\d{1,9}$/.test(pathLen)) {
    throw usageError(`--path-len must be a number from 0, not ${quote(pathLen)}`)
  }
  return { ca: ca ?? false, pathLen: Number(pathLen) }
}

/** One `--extension`: `OID=HEX` or `critical:OID=HEX`, the hexadecimal being DER. */
function parseExtension(text: string): RawExtension {
  const [name, hex = ''] = splitOnce(text)
  if (!/^(?:[0-9a-f]{2})+$/i.test(hex)) {
    throw usageError(
      `--extension must be OID=HEX or critical:OID=HEX with DER as hexadecimal digits, not ${quote(text)}`,
    )
  }
  const oid = name.replace(/^critical:/, '')
  return { oid, critical: oid !== name, value: Buffer.from(hex, 'hex') }
}

function splitOnce(text: string): readonly [name: string, value: string | undefined] {
  const equals = text.indexOf('=')
  return equals === -1 ? [text, undefined] : [text.slice(0, equals), text.slice(equals + 1)]
}

function quote(text: string): string {
  return JSON.stringify(text)
}
