import { encodeOid } from '../der/oid.ts'
import type { StringType } from '../checks.ts'

/** A subject attribute by name; the order is that in which they are encoded. */
export type SubjectField = (typeof FIELDS)[number][0]

/** What is to be known of an attribute type. */
export interface AttributeType {
  readonly name: SubjectField
  /** As RFC 4514 and 4519 write it, or as the standard that defines it does. */
  readonly shortName: string
  readonly oid: string
  /** The OID as DER. */
  readonly oidDer: Uint8Array
  readonly stringType: StringType
  /** Upper bound in characters. */
  readonly max: number
  /** Place in the usual order. */
  readonly rank: number
  /** Whether it may be given several times. */
  readonly repeats: boolean
}

// The order is that of the CA/Browser Forum's Baseline Requirements, section 7.1.4.2, with the
// attributes of extended validation (which that table leaves free) where CAs put them: before the
// country. Types: PrintableString and IA5String where the standard demands them; UTF8String for
// every DirectoryString, because RFC 5280 section 4.1.2.4 leaves only that and PrintableString, and
// a type that depends on the value would let one more letter change how all the rest is encoded.
// Bounds: RFC 5280 appendix A.1 and Baseline Requirements 7.1.4.2 (surname and the like: 64, as
// its note explains); 0 where no standard gives one.
const FIELDS = [
  ['domainComponent', 'DC', '0.9.2342.19200300.100.1.25', 'ia5', 63],
  ['jurisdictionCountry', 'jurisdictionC', '1.3.6.1.4.1.311.60.2.1.3', 'printable', 2],
  ['jurisdictionState', 'jurisdictionST', '1.3.6.1.4.1.311.60.2.1.2', 'utf8', 128],
  ['jurisdictionLocality', 'jurisdictionL', '1.3.6.1.4.1.311.60.2.1.1', 'utf8', 128],
  ['businessCategory', 'businessCategory', '2.5.4.15', 'utf8', 128],
  ['serialNumber', 'serialNumber', '2.5.4.5', 'printable', 64],
  ['country', 'C', '2.5.4.6', 'printable', 2],
  ['state', 'ST', '2.5.4.8', 'utf8', 128],
  ['locality', 'L', '2.5.4.7', 'utf8', 128],
  ['postalCode', 'postalCode', '2.5.4.17', 'utf8', 40],
  ['street', 'STREET', '2.5.4.9', 'utf8', 128],
  ['organization', 'O', '2.5.4.10', 'utf8', 64],
  ['organizationIdentifier', 'organizationIdentifier', '2.5.4.97', 'utf8', 0],
  ['surname', 'SN', '2.5.4.4', 'utf8', 64],
  ['givenName', 'GN', '2.5.4.42', 'utf8', 64],
  ['initials', 'initials', '2.5.4.43', 'utf8', 64],
  ['generationQualifier', 'generationQualifier', '2.5.4.44', 'utf8', 64],
  ['title', 'title', '2.5.4.12', 'utf8', 64],
  ['pseudonym', 'pseudonym', '2.5.4.65', 'utf8', 128],
  ['organizationalUnit', 'OU', '2.5.4.11', 'utf8', 64],
  ['commonName', 'CN', '2.5.4.3', 'utf8', 64],
  ['dnQualifier', 'dnQualifier', '2.5.4.46', 'printable', 0],
  ['userId', 'UID', '0.9.2342.19200300.100.1.1', 'utf8', 256],
  ['emailAddress', 'emailAddress', '1.2.840.113549.1.9.1', 'ia5', 255],
] as const

/** The attributes that may be given several times in the plain form of a subject. */
const REPEATING: readonly string[] = [
  'domainComponent',
  'street',
  'organizationalUnit',
  'commonName',
  'userId',
  'emailAddress',
]

const TYPES: readonly AttributeType[] = FIELDS.map(
  ([name, shortName, oid, stringType, max], rank) => ({
    name,
    shortName,
    oid,
    oidDer: encodeOid(oid),
    stringType,
    max: max === 0 ? Number.POSITIVE_INFINITY : max,
    rank,
    repeats: REPEATING.includes(name),
  }),
)

const BY_NAME: ReadonlyMap<string, AttributeType> = new Map(TYPES.map((type) => [type.name, type]))
const BY_OID: ReadonlyMap<string, AttributeType> = new Map(TYPES.map((type) => [type.oid, type]))

/** Every name of a subject attribute, in the order of encoding. */
export const SUBJECT_FIELDS: readonly SubjectField[] = TYPES.map(({ name }) => name)

/** The attribute type with this name. */
export function attributeTypeByName(name: string): AttributeType | undefined {
  return BY_NAME.get(name)
}

/** The attribute type with this dotted OID. */
export function attributeTypeByOid(oid: string): AttributeType | undefined {
  return BY_OID.get(oid)
}
