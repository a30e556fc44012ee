import { KeystayError } from '../../errors.ts'

/** One element of strict DER, by offsets into the bytes that hold it. */
export interface DerElement {
  /** The identifier octet (X.690 section 8.1.2); multi-octet tags are refused. */
  readonly tag: number
  /** Where the identifier octet stands. */
  readonly start: number
  /** Where the content begins. */
  readonly contentStart: number
  /** Where the content ends. */
  readonly end: number
}

function fail(what: string, offset: number): never {
  throw new KeystayError('der_invalid', `not valid DER at byte ${offset}: ${what}`)
}

/**
 * Reads the element that begins at `offset` and must end at or before `limit`. Lengths must be
 * definite and minimal (X.690 section 10.1).
 * @throws {KeystayError} `der_invalid`
 */
export function readElement(bytes: Uint8Array, offset: number, limit: number): DerElement {
  const tag = bytes[offset]
  const first = bytes[offset + 1]
  if (tag === undefined || first === undefined || offset + 2 > limit) {
    fail('the element is cut off', offset)
  }
  if ((tag & 0x1f) === 0x1f) fail('a tag of several octets is not used in X.509', offset)
  let length = first
  let contentStart = offset + 2
  if (first >= 0x80) {
    const octets = first & 0x7f
    if (octets === 0) fail('an indefinite length is not DER', offset)
    if (octets > 4) fail('the length is larger than any certificate request', offset)
    length = 0
    for (let index = 0; index < octets; index++) {
      const octet = bytes[contentStart++]
      if (octet === undefined) fail('the length is cut off', offset)
      length = length * 256 + octet
    }
    if (length < 0x80 || length < 256 ** (octets - 1)) fail('the length is not minimal', offset)
  }
  const end = contentStart + length
  if (end > limit) fail('the content is cut off', offset)
  return { tag, start: offset, contentStart, end }
}

/**
 * Reads bytes that must be one element and nothing behind it.
 * @throws {KeystayError} `der_invalid`
 */
export function readSingle(bytes: Uint8Array, tag?: number): DerElement {
  const element = readElement(bytes, 0, bytes.length)
  if (element.end !== bytes.length) fail('bytes follow the end of the structure', element.end)
  if (tag !== undefined) expectTag(element, tag)
  return element
}

/**
 * The elements inside a constructed element.
 * @throws {KeystayError} `der_invalid`, also where there are more than `most`
 */
export function readChildren(bytes: Uint8Array, parent: DerElement, most = 10_000): DerElement[] {
  const children: DerElement[] = []
  let offset = parent.contentStart
  while (offset < parent.end) {
    if (children.length === most) fail(`more than ${most} elements`, parent.start)
    const child = readElement(bytes, offset, parent.end)
    children.push(child)
    offset = child.end
  }
  return children
}

/** Refuses an element with another tag. @throws {KeystayError} `der_invalid` */
export function expectTag(element: DerElement | undefined, tag: number): asserts element {
  if (element?.tag !== tag) {
    const found = element === undefined ? 'nothing' : `tag 0x${element.tag.toString(16)}`
    fail(`tag 0x${tag.toString(16)} expected, found ${found}`, element?.start ?? 0)
  }
}

/** The content of an element, as a view. */
export function contentOf(bytes: Uint8Array, element: DerElement): Uint8Array {
  return bytes.subarray(element.contentStart, element.end)
}

/** The whole element, header included, as a view. */
export function bytesOf(bytes: Uint8Array, element: DerElement): Uint8Array {
  return bytes.subarray(element.start, element.end)
}

/** The most octets of an OBJECT IDENTIFIER; those in use have less than a tenth. */
export const MAX_OID_OCTETS = 256

/**
 * OBJECT IDENTIFIER in dotted form.
 * @throws {KeystayError} `der_invalid`
 */
export function decodeOid(bytes: Uint8Array, element: DerElement): string {
  expectTag(element, 0x06)
  const content = contentOf(bytes, element)
  if (content.length > MAX_OID_OCTETS) fail('an OID is longer than any in use', element.start)
  const arcs: bigint[] = []
  let arc = 0n
  let fresh = true
  for (const octet of content) {
    if (fresh && octet === 0x80) fail('an OID arc is not minimal', element.start)
    arc = (arc << 7n) | BigInt(octet & 0x7f)
    // 2.25 arcs are UUIDs of 128 bits (X.667); nothing longer is in use.
    if (arc >> 140n !== 0n) fail('an OID arc is too large', element.start)
    fresh = octet < 0x80
    if (fresh) {
      arcs.push(arc)
      arc = 0n
    }
  }
  const [head, ...rest] = arcs
  if (head === undefined || !fresh) fail('an OID is cut off', element.start)
  const root = head < 40n ? 0n : head < 80n ? 1n : 2n
  return [root, head - root * 40n, ...rest].join('.')
}

/**
 * The magnitude of a non-negative INTEGER, without its sign octet.
 * @throws {KeystayError} `der_invalid` (negative, empty or not minimal)
 */
export function decodeUnsignedInteger(bytes: Uint8Array, element: DerElement): Uint8Array {
  expectTag(element, 0x02)
  const content = contentOf(bytes, element)
  const [first, second] = content
  if (first === undefined) fail('an INTEGER is empty', element.start)
  if (first >= 0x80) fail('an INTEGER is negative', element.start)
  if (first === 0 && second !== undefined) {
    if (second < 0x80) fail('an INTEGER is not minimal', element.start)
    return content.subarray(1)
  }
  return content
}

/**
 * A non-negative INTEGER of up to four octets.
 * @throws {KeystayError} `der_invalid`
 */
export function readSmallInteger(bytes: Uint8Array, element: DerElement): number {
  const magnitude = decodeUnsignedInteger(bytes, element)
  if (magnitude.length > 4) fail('an INTEGER is far too large', element.start)
  return magnitude.reduce((value, octet) => value * 256 + octet, 0)
}

/**
 * BIT STRING of whole octets.
 * @throws {KeystayError} `der_invalid` (unused bits, or no octet that counts them)
 */
export function decodeOctetAlignedBits(bytes: Uint8Array, element: DerElement): Uint8Array {
  expectTag(element, 0x03)
  const content = contentOf(bytes, element)
  if (content[0] !== 0) fail('a BIT STRING of whole octets expected', element.start)
  return content.subarray(1)
}

/** BOOLEAN. @throws {KeystayError} `der_invalid` (any octet but 00 and FF, X.690 section 11.1) */
export function decodeBoolean(bytes: Uint8Array, element: DerElement): boolean {
  expectTag(element, 0x01)
  const content = contentOf(bytes, element)
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
    fail('a BOOLEAN is neither 00 nor FF', element.start)
  }
  return content[0] === 0xff
}
