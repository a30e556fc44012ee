import { KeystayError } from '../errors.ts'
import { decodeUnsignedInteger, readChildren, readSingle } from './der/der-reader.ts'
import { createDerWriter, finishDer, writeHeader, writeUnsignedInteger } from './der/der-writer.ts'

/**
 * The DER of an ECDSA signature (RFC 3279 section 2.2.3) from r and s of fixed width, as PKCS#11
 * and WebCrypto answer it.
 * @throws {KeystayError} `signature_value_invalid` where the width is not that of the curve
 */
export function encodeEcdsaSignature(raw: Uint8Array, coordinateBytes: number): Uint8Array {
  if (raw.length !== 2 * coordinateBytes) {
    throw new KeystayError(
      'signature_value_invalid',
      `a raw ECDSA signature of ${2 * coordinateBytes} bytes was expected, the device answered ${raw.length}`,
    )
  }
  const writer = createDerWriter(raw.length + 16)
  writeUnsignedInteger(writer, raw.subarray(coordinateBytes))
  writeUnsignedInteger(writer, raw.subarray(0, coordinateBytes))
  writeHeader(writer, 0x30, 0)
  return finishDer(writer)
}

/**
 * r and s of fixed width, as WebCrypto wants them, from the DER of an ECDSA signature.
 * @throws {KeystayError} `der_invalid`, `signature_value_invalid`
 */
export function decodeEcdsaSignature(der: Uint8Array, coordinateBytes: number): Uint8Array {
  const [r, s, ...rest] = readChildren(der, readSingle(der, 0x30), 3)
  if (r === undefined || s === undefined || rest.length > 0) {
    throw new KeystayError('signature_value_invalid', 'an ECDSA signature is r and s, nothing else')
  }
  const raw = new Uint8Array(2 * coordinateBytes)
  for (const [index, element] of [r, s].entries()) {
    const magnitude = decodeUnsignedInteger(der, element)
    if (magnitude.length > coordinateBytes) {
      throw new KeystayError(
        'signature_value_invalid',
        `r or s of the ECDSA signature is longer than the curve's ${coordinateBytes} bytes`,
      )
    }
    raw.set(magnitude, (index + 1) * coordinateBytes - magnitude.length)
  }
  return raw
}
