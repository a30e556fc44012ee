import { compareBytes } from './bytes.ts'
import { bytesOf, readChildren } from './der-reader.ts'

/**
 * A DER buffer that is filled from its end to its beginning (X.690): when the header of an element
 * is written its content already stands behind it, so every length is known and one pass suffices.
 * Write siblings in reverse order.
 */
export interface DerWriter {
  buffer: Uint8Array
  /** Bytes written so far; they are the last ones of `buffer`. */
  length: number
}

const encoder = new TextEncoder()

/** An empty writer. `capacity` is a guess: the buffer grows when it is too small. */
export function createDerWriter(capacity = 1024): DerWriter {
  return { buffer: new Uint8Array(capacity), length: 0 }
}

/** What has been written, as a copy that later writing does not touch. */
export function finishDer(writer: DerWriter): Uint8Array {
  return writer.buffer.slice(writer.buffer.length - writer.length)
}

/** Makes room for `count` more bytes and answers the index of the first of them. */
function claim(writer: DerWriter, count: number): number {
  const { buffer, length } = writer
  const needed = length + count
  if (needed > buffer.length) {
    const larger = new Uint8Array(Math.max(needed, buffer.length * 2))
    larger.set(buffer.subarray(buffer.length - length), larger.length - length)
    writer.buffer = larger
  }
  writer.length = needed
  return writer.buffer.length - needed
}

/** Puts bytes that are DER already, or bare content, in front of what is there. */
export function writeBytes(writer: DerWriter, bytes: Uint8Array): void {
  const at = claim(writer, bytes.length)
  const { buffer } = writer
  if (bytes.length > 32) {
    buffer.set(bytes, at)
    return
  }
  // `set` costs more than the copying where the bytes are few, as those of an OID are.
  for (let index = 0; index < bytes.length; index++) buffer[at + index] = bytes[index] ?? 0
}

/** Puts one byte in front of what is there. */
export function writeByte(writer: DerWriter, byte: number): void {
  const at = claim(writer, 1)
  writer.buffer[at] = byte
}

/**
 * Puts the tag and length of an element in front of its content.
 * @param contentEnd `writer.length` as it was before the content was written.
 */
export function writeHeader(writer: DerWriter, tag: number, contentEnd: number): void {
  const length = writer.length - contentEnd
  if (length < 0x80) {
    const at = claim(writer, 2)
    writer.buffer[at] = tag
    writer.buffer[at + 1] = length
    return
  }
  const octets = length < 0x100 ? 1 : length < 0x1_0000 ? 2 : length < 0x100_0000 ? 3 : 4
  let at = claim(writer, octets + 2)
  writer.buffer[at++] = tag
  writer.buffer[at++] = 0x80 | octets
  for (let shift = (octets - 1) * 8; shift >= 0; shift -= 8) {
    writer.buffer[at++] = (length >>> shift) & 0xff
  }
}

/** A whole element: tag, length and this content. */
export function writeElement(writer: DerWriter, tag: number, content: Uint8Array): void {
  const end = writer.length
  writeBytes(writer, content)
  writeHeader(writer, tag, end)
}

/** A string element of any type that is UTF-8 or a subset of it. */
export function writeString(writer: DerWriter, tag: number, text: string): void {
  const end = writer.length
  const at = claim(writer, text.length)
  const { buffer } = writer
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit > 0x7f) {
      // Not ASCII: its bytes are more than its UTF-16 units. Give the room back and let the
      // platform encode it.
      writer.length = end
      writeElement(writer, tag, encoder.encode(text))
      return
    }
    buffer[at + index] = unit
  }
  writeHeader(writer, tag, end)
}

/** INTEGER of an unsigned big-endian magnitude: leading zeros dropped, sign octet added. */
export function writeUnsignedInteger(writer: DerWriter, magnitude: Uint8Array): void {
  let start = 0
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++
  const end = writer.length
  writeBytes(writer, magnitude.subarray(start))
  if (magnitude.length === 0 || (magnitude[start] ?? 0) >= 0x80) writeByte(writer, 0)
  writeHeader(writer, 0x02, end)
}

/** BIT STRING of whole octets (no unused bits). */
export function writeBitString(writer: DerWriter, bytes: Uint8Array): void {
  const end = writer.length
  writeBytes(writer, bytes)
  writeByte(writer, 0)
  writeHeader(writer, 0x03, end)
}

/**
 * Brings the elements written since `contentEnd` into the order of a SET OF (X.690 section 11.6).
 * @param contentEnd `writer.length` as it was before the elements were written.
 */
export function sortSetOf(writer: DerWriter, contentEnd: number): void {
  const { buffer } = writer
  const contentStart = buffer.length - writer.length
  const content = buffer.slice(contentStart, buffer.length - contentEnd)
  const set = { tag: 0x31, start: 0, contentStart: 0, end: content.length }
  const elements = readChildren(content, set).map((element) => bytesOf(content, element))
  let at = contentStart
  for (const element of elements.sort(compareBytes)) {
    buffer.set(element, at)
    at += element.length
  }
}
