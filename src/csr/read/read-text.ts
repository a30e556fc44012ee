import { contentOf, type DerElement } from '../der/der-reader.ts'
import { KeystayError } from '../../errors.ts'
import { PRINTABLE } from '../checks.ts'
import { isAscii } from '../names/dns-name.ts'

/** Something in a request that is wrong and could be read all the same. */
export interface Oddity {
  readonly code:
    | 'version_not_1'
    | 'attributes_missing'
    | 'attribute_empty'
    | 'attributes_unsorted'
    | 'extension_request_repeated'
    | 'default_encoded'
    | 'string_out_of_charset'
    | 'name_unreadable'
    | 'weak_signature'
  readonly message: string
}

/** A decoded string, and the name of its ASN.1 type. */
export interface DecodedText {
  readonly text: string
  readonly stringType: string
}

/** The string types that are one character an octet, by tag. */
const OCTET_STRINGS: ReadonlyMap<number, string> = new Map([
  [0x12, 'NumericString'],
  [0x13, 'PrintableString'],
  // In practice T61 is Latin-1; hardly anybody ever wrote the real one.
  [0x14, 'T61String'],
  [0x16, 'IA5String'],
  [0x1a, 'VisibleString'],
  [0x1b, 'GeneralString'],
])

function malformed(what: string, { start }: DerElement): KeystayError {
  return new KeystayError('der_invalid', `not valid DER at byte ${start}: ${what}`)
}

/**
 * Decodes an element that is a string of any kind; `undefined` where it is no string.
 * @throws {KeystayError} `der_invalid` where its bytes are not of its type
 */
export function readText(
  bytes: Uint8Array,
  element: DerElement,
  oddities: Oddity[],
): DecodedText | undefined {
  const content = contentOf(bytes, element)
  if (element.tag === 0x0c) return { text: readUtf8(content, element), stringType: 'UTF8String' }
  if (element.tag === 0x1e) {
    return { text: readWide(content, 2, element), stringType: 'BMPString' }
  }
  if (element.tag === 0x1c) {
    return { text: readWide(content, 4, element), stringType: 'UniversalString' }
  }
  const stringType = OCTET_STRINGS.get(element.tag)
  if (stringType === undefined) return undefined
  const text = readLatin1(content)
  if (element.tag === 0x13 ? !PRINTABLE.test(text) : element.tag !== 0x14 && !isAscii(text)) {
    oddities.push({
      code: 'string_out_of_charset',
      message: `the ${stringType} at byte ${element.start} has characters that its type does not allow`,
    })
  }
  return { text, stringType }
}

function readUtf8(content: Uint8Array, element: DerElement): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content)
  } catch {
    throw malformed('a UTF8String is not UTF-8', element)
  }
}

/** One character an octet. */
export function readLatin1(content: Uint8Array): string {
  let text = ''
  for (const octet of content) text += String.fromCharCode(octet)
  return text
}

function readWide(content: Uint8Array, width: 2 | 4, element: DerElement): string {
  if (content.length % width !== 0) {
    throw malformed(`a string of ${width} octets a character is cut off`, element)
  }
  const view = new DataView(content.buffer, content.byteOffset, content.length)
  let text = ''
  for (let at = 0; at < content.length; at += width) {
    const unit = width === 2 ? view.getUint16(at) : view.getUint32(at)
    if (unit > 0x10_ffff) throw malformed('a UniversalString has no such character', element)
    text += width === 2 ? String.fromCharCode(unit) : String.fromCodePoint(unit)
  }
  return text
}
