import { encodeOid } from '../../src/csr/der/oid.ts'

type Part = Uint8Array | readonly number[] | string

/** An element of any tag and content, right or wrong. Text stands for its Latin-1 octets. */
export function tlv(tag: number, ...parts: readonly Part[]): Uint8Array {
  const content = Buffer.concat(
    parts.map((part) =>
      typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part),
    ),
  )
  const { length } = content
  const header =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return new Uint8Array(Buffer.concat([Uint8Array.of(tag, ...header), content]))
}

export const sequence = (...parts: readonly Part[]): Uint8Array => tlv(0x30, ...parts)
export const set = (...parts: readonly Part[]): Uint8Array => tlv(0x31, ...parts)
export const oid = (dotted: string): Uint8Array => encodeOid(dotted)

/** A name of one attribute. */
export const nameOf = (value: Uint8Array, type = '2.5.4.3'): Uint8Array =>
  sequence(set(sequence(oid(type), value)))

export const attribute = (type: string, ...values: readonly Part[]): Uint8Array =>
  sequence(oid(type), set(...values))

export const extension = (type: string, ...parts: readonly Part[]): Uint8Array =>
  sequence(oid(type), ...parts)

export const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'

/** A request for these extensions. */
export const asking = (...extensions: readonly Uint8Array[]): Uint8Array =>
  attribute(EXTENSION_REQUEST, sequence(...extensions))

/** A subjectAltName extension of these GeneralNames. */
export const altNames = (...names: readonly Uint8Array[]): Uint8Array =>
  extension('2.5.29.17', tlv(0x04, sequence(...names)))

/** What a request by hand is made of; the rest is as it should be. */
interface HandmadeParts {
  readonly version?: readonly number[]
  readonly subject?: Uint8Array
  readonly spki?: Uint8Array
  /** `null`: the field is left out. */
  readonly attributes?: readonly Uint8Array[] | null
  readonly algorithm?: Uint8Array
}

/** A request put together by hand. Its signature is none. */
export function handmade(parts: HandmadeParts = {}): Uint8Array {
  const {
    version = [0],
    subject = nameOf(tlv(0x0c, 'a')),
    spki = sequence(sequence(oid('1.3.101.112')), tlv(0x03, [0], new Uint8Array(32))),
    attributes = [],
    algorithm = sequence(oid('1.3.101.112')),
  } = parts
  return sequence(
    sequence(
      tlv(0x02, version),
      subject,
      spki,
      ...(attributes === null ? [] : [tlv(0xa0, ...attributes)]),
    ),
    algorithm,
    tlv(0x03, [0], new Uint8Array(64)),
  )
}
