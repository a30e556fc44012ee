import { KeystayError } from '../errors.ts'

const decoder = new TextDecoder()

/** The digits of base64 (RFC 4648 section 4) as ASCII. */
const DIGITS = new TextEncoder().encode(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
)
const LINE_END = 0x0a
const PADDING = 0x3d
/** Bytes of one line: 64 characters (RFC 7468 section 3). */
const LINE_BYTES = 48

/** A PEM block with a final line end. */
export function encodePem(label: string, der: Uint8Array): string {
  // Every line is begun by the line end before it, so that padding is what stands last.
  const groups = Math.ceil(der.length / 3)
  const text = new Uint8Array(4 * groups + Math.ceil(der.length / LINE_BYTES))
  let at = 0
  for (let index = 0; index < der.length; index += 3) {
    if (index % LINE_BYTES === 0) text[at++] = LINE_END
    const group = ((der[index] ?? 0) << 16) | ((der[index + 1] ?? 0) << 8) | (der[index + 2] ?? 0)
    text[at++] = DIGITS[group >> 18] ?? 0
    text[at++] = DIGITS[(group >> 12) & 0x3f] ?? 0
    text[at++] = DIGITS[(group >> 6) & 0x3f] ?? 0
    text[at++] = DIGITS[group & 0x3f] ?? 0
  }
  text.fill(PADDING, at - (3 * groups - der.length))
  return `-----BEGIN ${label}-----${decoder.decode(text)}\n-----END ${label}-----\n`
}

/** One block of a PEM text. */
export interface PemBlock {
  readonly label: string
  /** What stands between the boundaries, not decoded yet. */
  readonly body: string
}

/**
 * Finds the PEM blocks of a text (RFC 7468), whatever stands around them.
 * @throws {KeystayError} `pem_invalid` (a block that does not end, or ends as another)
 */
export function findPemBlocks(text: string): PemBlock[] {
  const blocks: PemBlock[] = []
  const begin = /-----BEGIN ([A-Z0-9][A-Z0-9 #]{0,63})-----/g
  for (let match = begin.exec(text); match !== null; match = begin.exec(text)) {
    const label = match[1] ?? ''
    const end = text.indexOf('-----', begin.lastIndex)
    if (end === -1)
      throw new KeystayError(
        'pem_invalid',
        `the PEM block ${label} does not end; give it whole, with its END line`,
      )
    const boundary = `-----END ${label}-----`
    if (!text.startsWith(boundary, end)) {
      throw new KeystayError('pem_invalid', `the PEM block must end with ${boundary}`)
    }
    blocks.push({ label, body: text.slice(begin.lastIndex, end) })
    begin.lastIndex = end + boundary.length
  }
  return blocks
}

/** The bytes of base64 with white space anywhere; `undefined` where it is anything else. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const digits = text.replace(/[\s\ufeff]+/g, '')
  if (digits === '' || digits.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(digits)) {
    return undefined
  }
  return Uint8Array.from(atob(digits), (character) => character.charCodeAt(0))
}
