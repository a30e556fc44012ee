import fc from 'fast-check'
import type {
  CsrRequest,
  OtherSubjectAttribute,
  RawExtension,
  Subject,
  SubjectAltName,
  SubjectField,
} from '../../src/index.ts'

/** Type of string and bound of every field, written down here once more so as to be compared. */
export const FIELDS: Readonly<
  Record<SubjectField, { oid: string; type: 'utf8' | 'printable' | 'ia5'; max: number }>
> = {
  domainComponent: { oid: '0.9.2342.19200300.100.1.25', type: 'ia5', max: 63 },
  jurisdictionCountry: { oid: '1.3.6.1.4.1.311.60.2.1.3', type: 'printable', max: 2 },
  jurisdictionState: { oid: '1.3.6.1.4.1.311.60.2.1.2', type: 'utf8', max: 128 },
  jurisdictionLocality: { oid: '1.3.6.1.4.1.311.60.2.1.1', type: 'utf8', max: 128 },
  businessCategory: { oid: '2.5.4.15', type: 'utf8', max: 128 },
  serialNumber: { oid: '2.5.4.5', type: 'printable', max: 64 },
  country: { oid: '2.5.4.6', type: 'printable', max: 2 },
  state: { oid: '2.5.4.8', type: 'utf8', max: 128 },
  locality: { oid: '2.5.4.7', type: 'utf8', max: 128 },
  postalCode: { oid: '2.5.4.17', type: 'utf8', max: 40 },
  street: { oid: '2.5.4.9', type: 'utf8', max: 128 },
  organization: { oid: '2.5.4.10', type: 'utf8', max: 64 },
  organizationIdentifier: { oid: '2.5.4.97', type: 'utf8', max: 200 },
  surname: { oid: '2.5.4.4', type: 'utf8', max: 64 },
  givenName: { oid: '2.5.4.42', type: 'utf8', max: 64 },
  initials: { oid: '2.5.4.43', type: 'utf8', max: 64 },
  generationQualifier: { oid: '2.5.4.44', type: 'utf8', max: 64 },
  title: { oid: '2.5.4.12', type: 'utf8', max: 64 },
  pseudonym: { oid: '2.5.4.65', type: 'utf8', max: 128 },
  organizationalUnit: { oid: '2.5.4.11', type: 'utf8', max: 64 },
  commonName: { oid: '2.5.4.3', type: 'utf8', max: 64 },
  dnQualifier: { oid: '2.5.4.46', type: 'printable', max: 200 },
  userId: { oid: '0.9.2342.19200300.100.1.1', type: 'utf8', max: 256 },
  emailAddress: { oid: '1.2.840.113549.1.9.1', type: 'ia5', max: 255 },
}

const FIELD_NAMES = Object.keys(FIELDS) as SubjectField[]
const REPEATING: readonly SubjectField[] = ['domainComponent', 'organizationalUnit', 'street']

const characters = (text: string): string[] => Array.from(text)

const LETTERS = characters('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789')

function textOf(unit: fc.Arbitrary<string>, max: number): fc.Arbitrary<string> {
  return fc
    .string({ unit, minLength: 1, maxLength: max, size: '+1' })
    .filter((text) => text.trim() !== '')
}

/** ASCII mostly; then every length of UTF-8, combining marks, right-to-left, the odd spaces. */
const anyCharacter = fc.constantFrom(
  ...LETTERS,
  ...LETTERS,
  ...characters(' .,+="<>;#\\/-_*@\'()&%$!?:[]{}|^~`'),
  ...characters('üéßøñçÅÿ¡µΩжאش漢字한あ€—’\u00a0\u0301\u200d\u2028\ufeff\uffee👩𝔘𠀀\u{10fffd}'),
)
const printableCharacter = fc.constantFrom(...LETTERS, ...characters(" '()+,-./:=?"))
const word = fc.string({ unit: fc.constantFrom(...LETTERS), minLength: 1, maxLength: 20 })
const label = fc
  .tuple(word, fc.option(word, { nil: undefined }))
  .map(([first, second]) => (second === undefined ? `${first}x` : `${first}-${second}x`))
const hostName = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
const dnsName = fc
  .tuple(fc.boolean(), hostName)
  .map(([wildcard, name]) => (wildcard ? `*.${name}` : name))
const localPart = fc.string({
  unit: fc.constantFrom(...LETTERS, ...characters("!#$%&'*+-/=?^_`{|}~")),
  minLength: 1,
  maxLength: 30,
})
const mailbox = fc
  .tuple(localPart, fc.option(word, { nil: undefined }), hostName)
  .map(([first, second, host]) => `${[first, second ?? 'x'].join('.')}@${host}`)
const oid = fc
  .tuple(fc.nat({ max: 39 }), fc.array(fc.nat(), { minLength: 1, maxLength: 6 }))
  .map(([second, rest]) => `1.${second}.99.${rest.join('.')}`)
/** A DER element that is valid throughout. */
const element = fc
  .uint8Array({ maxLength: 200 })
  .map((content) =>
    content.length < 128
      ? Uint8Array.of(0x04, content.length, ...content)
      : Uint8Array.of(0x04, 0x81, content.length, ...content),
  )

function valueOf(field: SubjectField): fc.Arbitrary<string> {
  const { type, max } = FIELDS[field]
  if (field === 'domainComponent') return label
  if (field === 'emailAddress') return mailbox
  if (max === 2) return fc.constantFrom('US', 'DE', 'FR', 'GB', 'ZZ')
  return textOf(type === 'utf8' ? anyCharacter : printableCharacter, Math.min(max, 64))
}

const otherAttribute: fc.Arbitrary<OtherSubjectAttribute> = fc.oneof(
  fc.record({ oid, value: textOf(anyCharacter, 40) }),
  fc.record({
    oid,
    value: textOf(printableCharacter, 40),
    stringType: fc.constantFrom('printable' as const, 'ia5' as const, 'utf8' as const),
  }),
)

const subjectFields = fc
  .uniqueArray(fc.constantFrom(...FIELD_NAMES), { maxLength: 8 })
  .chain((names) =>
    fc.record({
      ...Object.fromEntries(
        names.map((name) => [
          name,
          REPEATING.includes(name)
            ? fc.oneof(valueOf(name), fc.array(valueOf(name), { minLength: 1, maxLength: 3 }))
            : valueOf(name),
        ]),
      ),
      other: fc.option(fc.array(otherAttribute, { maxLength: 2 }), { nil: undefined, freq: 4 }),
    }),
  )

const rdn = fc
  .tuple(
    fc.uniqueArray(fc.constantFrom(...FIELD_NAMES), { minLength: 1, maxLength: 4 }),
    fc.option(otherAttribute, { nil: undefined, freq: 3 }),
  )
  .chain(([names, other]) =>
    fc
      .tuple(...names.map((type) => valueOf(type).map((value) => ({ type, value }))))
      .map((attributes) => (other === undefined ? attributes : [...attributes, other])),
  )

const subject: fc.Arbitrary<Subject | undefined> = fc.oneof(
  { weight: 6, arbitrary: subjectFields },
  { weight: 2, arbitrary: fc.array(rdn, { maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constant(undefined) },
)

const san: fc.Arbitrary<SubjectAltName> = fc.oneof(
  { weight: 6, arbitrary: dnsName },
  { weight: 1, arbitrary: dnsName.map((dns) => ({ dns })) },
  { weight: 2, arbitrary: fc.ipV4().map((ip) => ({ ip })) },
  { weight: 2, arbitrary: fc.ipV6().map((ip) => ({ ip })) },
  { weight: 1, arbitrary: mailbox.map((email) => ({ email })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(hostName, fc.array(word, { maxLength: 3 }))
      .map(([host, path]) => ({ uri: `spiffe://${[host, ...path].join('/')}` })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(textOf(anyCharacter, 20), hostName)
      .map(([name, host]) => ({ upn: `${name.replaceAll('@', '')}x@${host}` })),
  },
  { weight: 1, arbitrary: fc.record({ oid, value: element }).map((otherName) => ({ otherName })) },
)

const extension: fc.Arbitrary<RawExtension> = fc.oneof(
  fc.record({ oid, value: element }),
  fc.record({ oid, critical: fc.boolean(), value: element }),
)

/** Requests that `CsrBuilder` must accept: every field, any combination. */
export const anyRequest: fc.Arbitrary<CsrRequest> = fc
  .record(
    {
      subject,
      sans: fc.uniqueArray(san, { maxLength: 6, selector: (name) => sanIdentity(name) }),
      keyUsage: fc.uniqueArray(
        fc.constantFrom(
          ...(['digitalSignature', 'keyEncipherment', 'cRLSign', 'decipherOnly'] as const),
        ),
        { minLength: 1 },
      ),
      extKeyUsage: fc.uniqueArray(
        fc.constantFrom(...(['serverAuth', 'clientAuth', '1.3.6.1.4.1.99.1'] as const)),
        { minLength: 1 },
      ),
      basicConstraints: fc.constantFrom({ ca: false }, { ca: true }, { ca: true, pathLen: 200 }),
      tlsFeature: fc.constantFrom(
        ['status_request'] as const,
        ['status_request', 17, 300] as const,
      ),
      certificateTemplateName: word.map((name) => `${name}ä漢`),
      extensions: fc.uniqueArray(extension, { maxLength: 3, selector: ({ oid: id }) => id }),
      challengePassword: textOf(anyCharacter, 40),
    },
    { requiredKeys: ['subject', 'sans'] },
  )
  .filter(({ subject: name, sans }) => sans.length > 0 || countAttributes(name) > 0)

function sanIdentity(name: SubjectAltName): string {
  if (typeof name === 'string') return name.toLowerCase()
  if ('dns' in name) return name.dns.toLowerCase()
  // One address has many spellings, and the generator makes them: one of each version is enough.
  if ('ip' in name) return name.ip.includes(':') ? 'ip v6' : 'ip v4'
  return JSON.stringify(name).toLowerCase()
}

/** How many attributes a subject has. */
export function countAttributes(name: Subject | undefined): number {
  if (Array.isArray(name)) return name.flat().length
  return Object.values(name ?? {})
    .flat()
    .filter((value) => value !== undefined).length
}
