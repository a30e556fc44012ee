import { describe, expect, test } from 'vitest'
import {
  createDerWriter,
  finishDer,
  sortSetOf,
  writeBitString,
  writeByte,
  writeBytes,
  writeElement,
  writeHeader,
  writeString,
  writeUnsignedInteger,
  type DerWriter,
} from '../../src/csr/der/der-writer.ts'
import { encodeOid } from '../../src/csr/der/oid.ts'

function written(write: (writer: DerWriter) => void, capacity?: number): string {
  const writer = createDerWriter(capacity)
  write(writer)
  return Buffer.from(finishDer(writer)).toString('hex')
}

const filled = (length: number): Uint8Array => new Uint8Array(length).fill(0x61)

describe('lengths are minimal', () => {
  test.each([
    [0, '0400'],
    [1, '0401'],
    [127, '047f'],
    [128, '048180'],
    [255, '0481ff'],
    [256, '04820100'],
    [65_535, '0482ffff'],
    [65_536, '0483010000'],
    [16_777_216, '048401000000'],
  ])('%i bytes', (length, header) => {
    const hex = written((writer) => {
      writeElement(writer, 0x04, filled(length))
    })
    expect(hex.slice(0, header.length)).toBe(header)
    expect(hex.length).toBe(header.length + 2 * length)
  })
})

test('the buffer grows and keeps what is in it', () => {
  const hex = written((writer) => {
    for (let count = 0; count < 300; count++) writeByte(writer, count & 0xff)
    writeHeader(writer, 0x04, 0)
  }, 1)
  const content = Array.from({ length: 300 }, (_, index) => (299 - index) & 0xff)
  expect(hex).toBe(`0482012c${Buffer.from(content).toString('hex')}`)
})

test('what was finished does not change with what is written after', () => {
  const writer = createDerWriter(8)
  writeByte(writer, 1)
  const first = finishDer(writer)
  writer.length = 0
  writeByte(writer, 2)
  expect([...first]).toEqual([1])
})

test.each([
  ['', '0c00'],
  ['Boston', '0c06426f73746f6e'],
  ['Zürich', '0c075ac3bc72696368'],
  ['aß漢👩', '0c0a61c39fe6bca2f09f91a9'],
])('UTF8String %j', (text, hex) => {
  expect(
    written((writer) => {
      writeString(writer, 0x0c, text)
    }, 4),
  ).toBe(hex)
})

test.each([
  [[], '020100'],
  [[0], '020100'],
  [[0, 0, 5], '020105'],
  [[0x7f], '02017f'],
  [[0x80], '02020080'],
  [[1, 0], '02020100'],
])('INTEGER of %j', (magnitude, hex) => {
  expect(
    written((writer) => {
      writeUnsignedInteger(writer, Uint8Array.from(magnitude))
    }),
  ).toBe(hex)
})

test('BIT STRING has no unused bits', () => {
  expect(
    written((writer) => {
      writeBitString(writer, Uint8Array.of(0xff, 1))
    }),
  ).toBe('030300ff01')
})

test('a SET OF is sorted octet by octet, shorter first, and nothing behind it moves', () => {
  expect(
    written((writer) => {
      writeBytes(writer, Uint8Array.of(0xaa))
      const end = writer.length
      for (const hex of ['040102', '0400', '040101', '0c00', '040101']) {
        writeBytes(writer, Buffer.from(hex, 'hex'))
      }
      sortSetOf(writer, end)
      writeHeader(writer, 0x31, end)
    }),
  ).toBe('310d' + '0400' + '040101' + '040101' + '040102' + '0c00' + 'aa')
})

test.each([
  ['0.0', '060100'],
  ['1.39', '06014f'],
  ['2.5.4.3', '0603550403'],
  ['2.999.1', '0603883701'],
  ['1.2.840.113549.1.9.14', '06092a864886f70d01090e'],
  ['2.25.340282366920938463463374607431768211455', '06146983ffffffffffffffffffffffffffffffffff7f'],
])('OBJECT IDENTIFIER %s', (oid, hex) => {
  expect(Buffer.from(encodeOid(oid)).toString('hex')).toBe(hex)
})
