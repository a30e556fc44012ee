import { KeystayError } from '../../errors.ts'
import { decodeBase64, findPemBlocks } from '../pem.ts'

/** The most that is read: far more than any request needs, and little enough to be quick. */
const MAX_INPUT = 256 * 1024

const REQUEST_LABELS: readonly string[] = ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST']

/**
 * The DER of the one request in a text or in bytes: PEM with anything around it, base64 without
 * boundaries, or DER.
 * @throws {KeystayError} `csr_too_large`, `csr_empty`, `csr_not_found`, `csr_several`,
 *   `csr_private_key`, `csr_pem_type`, `csr_base64_invalid`, `pem_invalid`
 */
export function readCsrInput(input: string | Uint8Array): Uint8Array {
  if (typeof input !== 'string' && !(input instanceof Uint8Array)) {
    throw new TypeError('a request to parse is a string or a Uint8Array')
  }
  if (input.length > MAX_INPUT) {
    throw new KeystayError(
      'csr_too_large',
      `the input is ${input.length} long; a request is at most ${MAX_INPUT}`,
    )
  }
  if (typeof input === 'string') return readPlainText(input)
  if (isDer(input)) return input
  return readPlainText(new TextDecoder(isUtf16(input) ? 'utf-16le' : 'utf-8').decode(input))
}

/** A SEQUENCE: no text begins with "0" and an octet that is not ASCII, or is its own length. */
function isDer(bytes: Uint8Array): boolean {
  const [tag, length = 0] = bytes
  return tag === 0x30 && (length >= 0x80 || length + 2 === bytes.length)
}

/** What Windows tools write: a byte order mark, and two octets a character. */
function isUtf16(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xfe
}

function readPlainText(text: string): Uint8Array {
  if (/-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY/.test(text)) {
    throw new KeystayError(
      'csr_private_key',
      'the input contains a private key; give the request alone, and consider that key exposed',
    )
  }
  if (text.trim() === '') {
    throw new KeystayError('csr_empty', 'the input is empty; a certificate request was expected')
  }
  const blocks = findPemBlocks(text)
  const [request, another] = blocks.filter(({ label }) => REQUEST_LABELS.includes(label))
  if (another !== undefined) {
    throw new KeystayError('csr_several', 'the input contains several requests; give one at a time')
  }
  if (request !== undefined) return decodeBody(request.body)
  const [other] = blocks
  if (other !== undefined) {
    throw new KeystayError(
      'csr_pem_type',
      `the input is a ${other.label}; a CERTIFICATE REQUEST was expected`,
    )
  }
  const bare = decodeBase64(text)
  if (bare === undefined) {
    throw new KeystayError(
      'csr_not_found',
      'the input is no certificate request: neither PEM nor base64 nor DER; give the text from BEGIN CERTIFICATE REQUEST to END CERTIFICATE REQUEST',
    )
  }
  return bare
}

function decodeBody(body: string): Uint8Array {
  const der = decodeBase64(body)
  if (der === undefined) {
    throw new KeystayError(
      'csr_base64_invalid',
      'what stands between the PEM boundaries is not base64; something was cut off or changed',
    )
  }
  return der
}
