import {
  contentOf,
  decodeBoolean,
  decodeOid,
  expectTag,
  readChildren,
  readSingle,
  readSmallInteger,
  type DerElement,
} from '../der/der-reader.ts'
import { KeystayError } from '../../errors.ts'
import {
  EXTENSION_OIDS,
  EXT_KEY_USAGES,
  KEY_USAGES,
  type BasicConstraints,
  type ExtKeyUsage,
  type KeyUsage,
} from '../request/extensions.ts'
import { oidName } from './oid-names.ts'
import { readGeneralNames, type ParsedAltName } from './read-general-names.ts'
import { readText, type Oddity } from './read-text.ts'

/** An extension as it was read, whether keystay knows it or not. */
export interface ParsedExtension {
  /** Dotted. */
  readonly oid: string
  readonly name: string | undefined
  readonly critical: boolean
  /** The content of `extnValue`. */
  readonly value: Uint8Array
}

/** What the extensions that keystay knows say; `undefined` where one is absent. */
export interface DecodedExtensions {
  readonly sans: readonly ParsedAltName[]
  readonly keyUsage: readonly KeyUsage[] | undefined
  /** By name, or dotted where there is none. */
  readonly extKeyUsage: readonly ExtKeyUsage[] | undefined
  readonly basicConstraints: BasicConstraints | undefined
  /** TLS extension numbers; 5 is must-staple. */
  readonly tlsFeature: readonly number[] | undefined
  readonly certificateTemplateName: string | undefined
  readonly subjectKeyIdentifier: Uint8Array | undefined
}

const EXT_KEY_USAGE_NAMES: ReadonlyMap<string, ExtKeyUsage> = new Map(
  Object.entries(EXT_KEY_USAGES).map(([name, oid]) => [oid, name as keyof typeof EXT_KEY_USAGES]),
)

/**
 * Reads Extensions (RFC 5280 section 4.1).
 * @param seen the OIDs of extensions read before, to which these are added
 * @throws {KeystayError} `der_invalid`, `csr_extension_repeated`
 */
export function readExtensions(
  bytes: Uint8Array,
  list: DerElement,
  seen: Set<string>,
  oddities: Oddity[],
): ParsedExtension[] {
  expectTag(list, 0x30)
  return readChildren(bytes, list).map((element) => {
    const extension = readExtension(bytes, element, oddities)
    if (seen.has(extension.oid)) {
      throw new KeystayError(
        'csr_extension_repeated',
        `the request has the extension ${extension.name ?? extension.oid} twice, which RFC 5280 section 4.2 forbids`,
      )
    }
    seen.add(extension.oid)
    return extension
  })
}

function readExtension(
  bytes: Uint8Array,
  element: DerElement,
  oddities: Oddity[],
): ParsedExtension {
  expectTag(element, 0x30)
  const [type, second, third] = readChildren(bytes, element, 3)
  expectTag(type, 0x06)
  const flag = second?.tag === 0x01 ? second : undefined
  const value = flag === undefined ? second : third
  expectTag(value, 0x04)
  if (flag === undefined && third !== undefined) {
    throw new KeystayError('der_invalid', 'something follows the value of an extension')
  }
  const oid = decodeOid(bytes, type)
  const critical = flag !== undefined && decodeBoolean(bytes, flag)
  if (flag !== undefined && !critical) noteDefault(`critical of the extension ${oid}`, oddities)
  return { oid, name: oidName(oid), critical, value: contentOf(bytes, value) }
}

function noteDefault(what: string, oddities: Oddity[]): void {
  oddities.push({ code: 'default_encoded', message: `${what} is FALSE, which DER leaves out` })
}

/**
 * Decodes the extensions that keystay knows.
 * @throws {KeystayError} `der_invalid`
 */
export function decodeExtensions(
  extensions: readonly ParsedExtension[],
  oddities: Oddity[],
): DecodedExtensions {
  const decode = <Decoded>(
    name: keyof typeof EXTENSION_OIDS,
    decoder: (value: Uint8Array, oddities: Oddity[]) => Decoded,
  ): Decoded | undefined => {
    const found = extensions.find(({ oid }) => oid === EXTENSION_OIDS[name])
    return found === undefined ? undefined : decoder(found.value, oddities)
  }
  return {
    sans: decode('subjectAltName', readGeneralNames) ?? [],
    keyUsage: decode('keyUsage', readKeyUsage),
    extKeyUsage: decode('extKeyUsage', readExtKeyUsage),
    basicConstraints: decode('basicConstraints', readBasicConstraints),
    tlsFeature: decode('tlsFeature', readTlsFeature),
    certificateTemplateName: decode('certificateTemplateName', readTemplateName),
    subjectKeyIdentifier: decode('subjectKeyIdentifier', (value) =>
      contentOf(value, readSingle(value, 0x04)),
    ),
  }
}

function readKeyUsage(value: Uint8Array): KeyUsage[] {
  const [unused = 8, ...octets] = contentOf(value, readSingle(value, 0x03))
  if (unused > 7 || (unused > 0 && octets.length === 0)) {
    throw new KeystayError('der_invalid', 'keyUsage is not a BIT STRING')
  }
  return KEY_USAGES.filter((_, bit) => ((octets[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0)
}

function readExtKeyUsage(value: Uint8Array): ExtKeyUsage[] {
  return readChildren(value, readSingle(value, 0x30)).map((element) => {
    const oid = decodeOid(value, element)
    return EXT_KEY_USAGE_NAMES.get(oid) ?? (oid as ExtKeyUsage)
  })
}

function readBasicConstraints(value: Uint8Array, oddities: Oddity[]): BasicConstraints {
  const children = readChildren(value, readSingle(value, 0x30), 2)
  const flag = children[0]?.tag === 0x01 ? children.shift() : undefined
  const [pathLen, more] = children
  if (more !== undefined) throw new KeystayError('der_invalid', 'basicConstraints without cA')
  const ca = flag !== undefined && decodeBoolean(value, flag)
  if (flag !== undefined && !ca) noteDefault('cA of basicConstraints', oddities)
  return { ca, ...(pathLen !== undefined && { pathLen: readSmallInteger(value, pathLen) }) }
}

function readTlsFeature(value: Uint8Array): number[] {
  return readChildren(value, readSingle(value, 0x30)).map((element) =>
    readSmallInteger(value, element),
  )
}

function readTemplateName(value: Uint8Array, oddities: Oddity[]): string | undefined {
  return readText(value, readSingle(value), oddities)?.text
}
