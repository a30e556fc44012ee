import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import { Attributes, CertificationRequest, CertificationRequestInfo } from '@peculiar/asn1-csr'
import {
  AlgorithmIdentifier,
  Attribute,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  KeyUsage,
  Name,
  OtherName,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
} from '@peculiar/asn1-x509'
import type {
  CsrRequest,
  Subject,
  SubjectAltName,
  SubjectAttribute,
  SubjectField,
  SubjectFields,
} from '../../src/index.ts'
import { FIELDS } from './random-request.ts'

/** An attribute as asked for: its OID, its string type, its value. */
export interface AskedAttribute {
  readonly oid: string
  readonly type: 'utf8' | 'printable' | 'ia5'
  readonly value: string
}

/** What a subject asks for, RDN by RDN. */
export function askedRdns(subject: CsrRequest['subject']): AskedAttribute[][] {
  if (subject === undefined) return []
  return (isRdnList(subject) ? subject : rdnsOf(subject)).map((rdn) =>
    rdn.map((attribute) =>
      'type' in attribute
        ? asked(attribute.type, attribute.value)
        : { oid: attribute.oid, type: attribute.stringType ?? 'utf8', value: attribute.value },
    ),
  )
}

function isRdnList(subject: Subject): subject is readonly (readonly SubjectAttribute[])[] {
  return Array.isArray(subject)
}

function rdnsOf({ other = [], ...fields }: SubjectFields): SubjectAttribute[][] {
  const named = (Object.keys(FIELDS) as SubjectField[]).flatMap((type) =>
    [fields[type] ?? []].flat().map((value) => ({ type, value })),
  )
  return [...named, ...other].map((attribute) => [attribute])
}

function asked(field: SubjectField, value: string): AskedAttribute {
  return { oid: FIELDS[field].oid, type: FIELDS[field].type, value }
}

const VALUE_FIELDS = { utf8: 'utf8String', printable: 'printableString', ia5: 'ia5String' } as const

function exact(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer
}

function der(value: unknown): Uint8Array {
  return new Uint8Array(AsnConvert.serialize(value))
}

/** The library leaves a SET OF as it is given; DER sorts it. */
function sorted<Item>(items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, key: Buffer.from(der(item)) }))
    .sort((one, other) => Buffer.compare(one.key, other.key))
    .map(({ item }) => item)
}

function encodeName(subject: CsrRequest['subject']): Name {
  return new Name(
    askedRdns(subject).map(
      (rdn) =>
        new RelativeDistinguishedName(
          sorted(
            rdn.map(
              ({ oid, type, value }) =>
                new AttributeTypeAndValue({
                  type: oid,
                  value: new AttributeValue({ [VALUE_FIELDS[type]]: value }),
                }),
            ),
          ),
        ),
    ),
  )
}

/** An address in the one spelling of RFC 5952, as the runtime's URL parser writes it. */
export function canonicalIp(ip: string): string {
  return ip.includes(':') ? new URL(`http://[${ip}]`).hostname.slice(1, -1) : ip
}

function encodeSan(san: SubjectAltName): GeneralName {
  if (typeof san === 'string') return new GeneralName({ dNSName: san })
  if ('dns' in san) return new GeneralName({ dNSName: san.dns })
  if ('ip' in san) return new GeneralName({ iPAddress: canonicalIp(san.ip) })
  if ('email' in san) return new GeneralName({ rfc822Name: san.email })
  if ('uri' in san) return new GeneralName({ uniformResourceIdentifier: san.uri })
  const { oid, value } =
    'upn' in san
      ? { oid: '1.3.6.1.4.1.311.20.2.3', value: der(new AttributeValue({ utf8String: san.upn })) }
      : san.otherName
  return new GeneralName({ otherName: new OtherName({ typeId: oid, value: exact(value) }) })
}

const USAGES = {
  digitalSignature: 1,
  nonRepudiation: 2,
  keyEncipherment: 4,
  dataEncipherment: 8,
  keyAgreement: 16,
  keyCertSign: 32,
  cRLSign: 64,
  encipherOnly: 128,
  decipherOnly: 256,
} as const

function extension(extnID: string, critical: boolean, value: Uint8Array): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(exact(value)) })
}

/** A SEQUENCE or string that the library has no type for, of up to 127 bytes. */
function short(tag: number, content: readonly number[]): Uint8Array {
  return Uint8Array.of(tag, content.length, ...content)
}

function encodeExtensions(request: CsrRequest): Extension[] {
  const { subject, sans = [], keyUsage, extKeyUsage, basicConstraints, tlsFeature } = request
  const list: Extension[] = []
  if (sans.length > 0) {
    const names = new SubjectAlternativeName(sans.map(encodeSan))
    list.push(extension('2.5.29.17', askedRdns(subject).length === 0, der(names)))
  }
  if (basicConstraints !== undefined) {
    const { ca, pathLen } = basicConstraints
    const value = new BasicConstraints({
      cA: ca,
      ...(pathLen !== undefined && { pathLenConstraint: pathLen }),
    })
    list.push(extension('2.5.29.19', true, der(value)))
  }
  if (keyUsage !== undefined) {
    const bits = keyUsage.reduce((sum, usage) => sum | USAGES[usage], 0)
    list.push(extension('2.5.29.15', true, der(new KeyUsage(bits))))
  }
  if (extKeyUsage !== undefined) {
    const named: ReadonlyMap<string, string> = new Map([
      ['serverAuth', '1.3.6.1.5.5.7.3.1'],
      ['clientAuth', '1.3.6.1.5.5.7.3.2'],
    ])
    const oids = extKeyUsage.map((usage) => named.get(usage) ?? usage)
    list.push(extension('2.5.29.37', false, der(new ExtendedKeyUsage(oids))))
  }
  if (tlsFeature !== undefined) {
    const numbers = tlsFeature.map((feature) => (feature === 'status_request' ? 5 : feature))
    const integers = numbers.flatMap((number) =>
      Number(number) < 128
        ? [2, 1, Number(number)]
        : [2, 2, Number(number) >> 8, Number(number) & 255],
    )
    list.push(extension('1.3.6.1.5.5.7.1.24', false, short(0x30, integers)))
  }
  if (request.certificateTemplateName !== undefined) {
    const name = Buffer.from(request.certificateTemplateName, 'utf16le').swap16()
    list.push(extension('1.3.6.1.4.1.311.20.2', false, short(0x1e, [...name])))
  }
  for (const { oid, critical = false, value } of request.extensions ?? []) {
    list.push(extension(oid, critical, value))
  }
  return list
}

/** The request as `@peculiar/asn1-csr` encodes it, with this key and signature. */
export function encodeWithOracle(
  request: CsrRequest,
  parts: { spki: Uint8Array; identifier: Uint8Array; signature: Uint8Array },
): Uint8Array {
  const attributes: Attribute[] = []
  const extensions = encodeExtensions(request)
  if (extensions.length > 0) {
    const value = AsnConvert.serialize(new Extensions(extensions))
    attributes.push(new Attribute({ type: '1.2.840.113549.1.9.14', values: [value] }))
  }
  const { challengePassword } = request
  if (challengePassword !== undefined) {
    const printable = /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(challengePassword)
    const value = new AttributeValue({
      [printable ? 'printableString' : 'utf8String']: challengePassword,
    })
    const values = [AsnConvert.serialize(value)]
    attributes.push(new Attribute({ type: '1.2.840.113549.1.9.7', values }))
  }
  return der(
    new CertificationRequest({
      certificationRequestInfo: new CertificationRequestInfo({
        version: 0,
        subject: encodeName(request.subject),
        subjectPKInfo: AsnConvert.parse(parts.spki, SubjectPublicKeyInfo),
        attributes: new Attributes(sorted(attributes)),
      }),
      signatureAlgorithm: AsnConvert.parse(parts.identifier, AlgorithmIdentifier),
      signature: exact(parts.signature),
    }),
  )
}
