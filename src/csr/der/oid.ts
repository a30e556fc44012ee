import { KeystayError } from '../../errors.ts'
import { MAX_OID_OCTETS } from './der-reader.ts'
import { createDerWriter, finishDer, writeByte, writeHeader } from './der-writer.ts'

const DOTTED = /^(?:[01]\.[1-3]?\d|2\.(?:0|[1-9]\d*))(?:\.(?:0|[1-9]\d*))*$/

/** The arcs a reader of ours accepts: 2.25 arcs are UUIDs of 128 bits (X.667). */
const LONGEST_ARC = 1n << 140n

/**
 * DER of an OBJECT IDENTIFIER (X.690 section 8.19), header included.
 * @throws {KeystayError} `oid_invalid`
 */
export function encodeOid(dotted: unknown, pointer?: string): Uint8Array {
  if (typeof dotted !== 'string' || dotted.length > 1024 || !DOTTED.test(dotted)) {
    throw invalid(dotted, pointer)
  }
  const [root = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt)
  const writer = createDerWriter(32)
  for (const arc of [root * 40n + second, ...rest].reverse()) {
    if (arc >= LONGEST_ARC) throw invalid(dotted, pointer)
    writeByte(writer, Number(arc & 0x7fn))
    for (let left = arc >> 7n; left > 0n; left >>= 7n) {
      writeByte(writer, Number(left & 0x7fn) | 0x80)
    }
  }
  if (writer.length > MAX_OID_OCTETS) throw invalid(dotted, pointer)
  writeHeader(writer, 0x06, 0)
  return finishDer(writer)
}

function invalid(dotted: unknown, pointer: string | undefined): KeystayError {
  return new KeystayError(
    'oid_invalid',
    `${JSON.stringify(dotted)} is not an object identifier; write it dotted, such as 1.3.6.1.4.1.311.20.2`,
    pointer === undefined ? {} : { pointer },
  )
}
