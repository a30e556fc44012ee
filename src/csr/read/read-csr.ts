import { KeystayError } from '../../errors.ts'
import {
  bytesOf,
  decodeOctetAlignedBits,
  decodeOid,
  readSmallInteger,
  expectTag,
  readChildren,
  readSingle,
  type DerElement,
} from '../der/der-reader.ts'
import { compareBytes } from '../der/bytes.ts'
import { oidName } from './oid-names.ts'
import { readPublicKey, type PublicKeyInfo } from '../public-key.ts'
import {
  decodeExtensions,
  readExtensions,
  type DecodedExtensions,
  type ParsedExtension,
} from './read-extensions.ts'
import { readName, type ParsedName } from './read-name.ts'
import { readText, type Oddity } from './read-text.ts'

/** An attribute of a request other than the request for extensions. */
export interface ParsedRequestAttribute {
  /** Dotted. */
  readonly oid: string
  readonly name: string | undefined
  /** Each value as DER. */
  readonly values: readonly Uint8Array[]
  /** The first value as text, where it is a string: a challenge password, an unstructured name. */
  readonly text: string | undefined
}

/** The key of a request. */
export interface ParsedPublicKey extends PublicKeyInfo {
  /** What is shown: `rsaEncryption`, `ML-DSA-65`, …, or the dotted OID. */
  readonly algorithmName: string
  /** What is shown of the curve. */
  readonly curveName: string | undefined
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
}

/** All that stands in a request. */
export interface CsrContent extends DecodedExtensions {
  readonly der: Uint8Array
  /** 1, the only one there is; another number is told among the oddities. */
  readonly version: number
  readonly subject: ParsedName
  readonly publicKey: ParsedPublicKey
  /** All of them, also those that are decoded beside this list. */
  readonly extensions: readonly ParsedExtension[]
  /** The attributes beside the request for extensions. */
  readonly attributes: readonly ParsedRequestAttribute[]
  /** What is wrong with the request and did not keep it from being read. */
  readonly oddities: readonly Oddity[]
}

/** The signed bytes of a request and their signature. */
export interface CsrSignature {
  /** CertificationRequestInfo. */
  readonly info: Uint8Array
  /** AlgorithmIdentifier. */
  readonly identifier: Uint8Array
  /** OID of the algorithm, dotted. */
  readonly oid: string
  readonly value: Uint8Array
}

/** RFC 2985 section 5.4.2, and what Microsoft used before it. */
const EXTENSION_REQUESTS: readonly string[] = ['1.2.840.113549.1.9.14', '1.3.6.1.4.1.311.2.1.14']

const WEAK_SIGNATURE = /^(?:md5|sha1)With|SHA1$|-sha1$/

function malformed(what: string): KeystayError {
  return new KeystayError('csr_malformed', `not a certificate request (RFC 2986): ${what}`)
}

/**
 * Reads the DER of a request, and verifies nothing.
 * @throws {KeystayError} `csr_malformed`, `csr_is_certificate`, `csr_private_key`,
 *   `csr_extension_repeated`, `der_invalid`
 */
export function readCsr(der: Uint8Array): { content: CsrContent; signature: CsrSignature } {
  const oddities: Oddity[] = []
  const [info, algorithm, value, more] = readChildren(der, readSingle(der, 0x30), 16)
  if (info?.tag === 0x02) {
    throw new KeystayError(
      'csr_private_key',
      'the input looks like a private key; give the request alone',
    )
  }
  if (info?.tag !== 0x30 || algorithm?.tag !== 0x30 || value?.tag !== 0x03 || more !== undefined) {
    throw malformed('it must be the request, an algorithm and a signature')
  }
  const { version, subject, spki, attributes } = readInfo(der, info, oddities)
  const oid = readChildren(der, algorithm, 2)[0]
  expectTag(oid, 0x06)
  const signatureOid = decodeOid(der, oid)
  if (WEAK_SIGNATURE.test(oidName(signatureOid) ?? '')) {
    oddities.push({
      code: 'weak_signature',
      message: `it is signed with ${oidName(signatureOid) ?? ''}, whose hash is broken`,
    })
  }
  return {
    content: {
      der,
      version,
      subject: readName(der, subject, oddities),
      publicKey: showPublicKey(bytesOf(der, spki)),
      ...readAttributes(der, attributes, oddities),
      oddities,
    },
    signature: {
      info: bytesOf(der, info),
      identifier: bytesOf(der, algorithm),
      oid: signatureOid,
      value: decodeOctetAlignedBits(der, value),
    },
  }
}

/** The parts of CertificationRequestInfo (RFC 2986 section 4.1). */
function readInfo(
  der: Uint8Array,
  info: DerElement,
  oddities: Oddity[],
): {
  version: number
  subject: DerElement
  spki: DerElement
  attributes: DerElement | undefined
} {
  const [encodedVersion, subject, spki, attributes, more] = readChildren(der, info, 16)
  if (encodedVersion?.tag === 0xa0) {
    throw new KeystayError(
      'csr_is_certificate',
      'the input is a certificate; the request it was issued for was expected',
    )
  }
  if (
    encodedVersion?.tag !== 0x02 ||
    subject?.tag !== 0x30 ||
    spki?.tag !== 0x30 ||
    more !== undefined
  ) {
    throw malformed('it must hold a version, a subject, a public key and attributes')
  }
  if (attributes !== undefined && attributes.tag !== 0xa0) throw malformed('attributes are [0]')
  const version = readSmallInteger(der, encodedVersion) + 1
  if (version !== 1) {
    oddities.push({
      code: 'version_not_1',
      message: `its version is ${version}; there is none but version 1`,
    })
  }
  if (attributes === undefined) {
    oddities.push({
      code: 'attributes_missing',
      message: 'the attributes field is missing, which RFC 2986 demands even when it is empty',
    })
  }
  return { version, subject, spki, attributes }
}

function showPublicKey(spki: Uint8Array): ParsedPublicKey {
  const key = readPublicKey(spki)
  const { algorithm, curve } = key
  return {
    ...key,
    algorithmName: oidName(algorithm) ?? algorithm,
    curveName: curve === undefined ? undefined : (oidName(curve) ?? curve),
    spki,
  }
}

function readAttributes(
  der: Uint8Array,
  field: DerElement | undefined,
  oddities: Oddity[],
): DecodedExtensions & Pick<CsrContent, 'extensions' | 'attributes'> {
  const elements = field === undefined ? [] : readChildren(der, field)
  noteOrder(der, elements, oddities)
  const extensions: ParsedExtension[] = []
  const attributes: ParsedRequestAttribute[] = []
  const seen = new Set<string>()
  let requests = 0
  for (const element of elements) {
    const { oid, values } = readAttribute(der, element)
    if (values.length === 0) {
      oddities.push({ code: 'attribute_empty', message: `the attribute ${oid} has no value` })
    }
    if (!EXTENSION_REQUESTS.includes(oid)) {
      attributes.push(showAttribute(der, oid, values, oddities))
      continue
    }
    requests += Math.max(values.length, 1)
    for (const list of values) extensions.push(...readExtensions(der, list, seen, oddities))
  }
  if (requests > 1) {
    oddities.push({
      code: 'extension_request_repeated',
      message: 'it asks for extensions in several places; CAs read the first only',
    })
  }
  return { ...decodeExtensions(extensions, oddities), extensions, attributes }
}

/** X.690 section 11.6. Many writers do not sort, and no reader minds. */
function noteOrder(der: Uint8Array, elements: readonly DerElement[], oddities: Oddity[]): void {
  const sorted = elements.every((element, index) => {
    const before = elements[index - 1]
    return before === undefined || compareBytes(bytesOf(der, before), bytesOf(der, element)) <= 0
  })
  if (sorted) return
  oddities.push({ code: 'attributes_unsorted', message: 'its attributes are not in DER order' })
}

function readAttribute(
  der: Uint8Array,
  attribute: DerElement,
): { oid: string; values: DerElement[] } {
  expectTag(attribute, 0x30)
  const [type, set] = readChildren(der, attribute, 2)
  expectTag(type, 0x06)
  expectTag(set, 0x31)
  return { oid: decodeOid(der, type), values: readChildren(der, set) }
}

function showAttribute(
  der: Uint8Array,
  oid: string,
  values: readonly DerElement[],
  oddities: Oddity[],
): ParsedRequestAttribute {
  const [first] = values
  return {
    oid,
    name: oidName(oid),
    values: values.map((value) => bytesOf(der, value)),
    text: first === undefined ? undefined : readText(der, first, oddities)?.text,
  }
}
