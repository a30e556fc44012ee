import { KeystayError, type ErrorCode } from '../errors.ts'
import { readSingle } from './der/der-reader.ts'

/** The ASN.1 string types that keystay writes. */
export type StringType = 'utf8' | 'printable' | 'ia5'

/** The tags of the string types (X.680 section 8.6). */
export const STRING_TAGS: Readonly<Record<StringType, number>> = {
  utf8: 0x0c,
  printable: 0x13,
  ia5: 0x16,
}

/** PrintableString (X.680 section 41.4). */
export const PRINTABLE: RegExp = /^[A-Za-z0-9 '()+,\-./:=?]*$/
const ASCII = /^[\0-\x7f]*$/
/** C0, DEL and C1. */
const CONTROL = /[\0-\x1f\x7f-\x9f]/

/** An error about one value of the input. */
export function refuse(code: ErrorCode, pointer: string, message: string): never {
  throw new KeystayError(code, message, { pointer })
}

/** A value as an error shows it: quoted, and cut where it is long. */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)
  }
  if (value === null || value === undefined) return String(value)
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`
}

/** One more step of a JSON pointer (RFC 6901 section 3). */
export function pointerTo(parent: string, name: string): string {
  const escaped = /[~/]/.test(name) ? name.replaceAll('~', '~0').replaceAll('/', '~1') : name
  return `${parent}/${escaped}`
}

/**
 * Refuses what no certificate should carry as text: nothing, white space alone, control
 * characters, halves of surrogate pairs.
 * @param max the upper bound in characters, not bytes (RFC 5280 appendix A.1)
 * @throws {KeystayError} `text_expected`, `text_empty`, `text_control_character`,
 *   `text_not_unicode`, `text_too_long`
 */
export function checkText(value: unknown, pointer: string, max: number): asserts value is string {
  if (typeof value !== 'string') {
    refuse('text_expected', pointer, `${pointer} must be text, not ${show(value)}`)
  }
  // Most values are short ASCII, and need no closer look.
  if (value.length > 0 && value.length <= max && isPlain(value)) return
  if (value.trim() === '') {
    refuse('text_empty', pointer, `${pointer} is empty; leave it out instead`)
  }
  if (CONTROL.test(value)) {
    refuse('text_control_character', pointer, `${pointer} contains a control character; remove it`)
  }
  if (!value.isWellFormed()) {
    refuse('text_not_unicode', pointer, `${pointer} contains half of a surrogate pair`)
  }
  // UTF-16 units are never fewer than characters, so most values need no counting.
  if (value.length > max && countCharacters(value) > max) {
    refuse(
      'text_too_long',
      pointer,
      `${pointer} has ${countCharacters(value)} characters; at most ${max} are allowed`,
    )
  }
}

/** Whether a text is ASCII without control characters and does not begin with a space. */
function isPlain(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    if (unit < 0x20 || unit > 0x7e) return false
  }
  return text.charCodeAt(0) !== 0x20
}

function countCharacters(text: string): number {
  let count = 0
  for (const character of text) if (character !== '') count++
  return count
}

/**
 * Refuses text that its string type cannot hold.
 * @throws {KeystayError} `text_not_printable`, `text_not_ascii`
 */
export function checkStringType(value: string, type: StringType, pointer: string): void {
  if (type === 'printable' && !PRINTABLE.test(value)) {
    refuse(
      'text_not_printable',
      pointer,
      `${pointer} is a PrintableString, which holds A-Z a-z 0-9 space ' ( ) + , - . / : = ? and not ${show(value)}`,
    )
  }
  if (type === 'ia5' && !ASCII.test(value)) {
    refuse('text_not_ascii', pointer, `${pointer} holds ASCII only, not ${show(value)}`)
  }
}

/**
 * A copy of bytes that must be one DER element.
 * @throws {KeystayError} the code given
 */
export function checkDerElement(value: unknown, code: ErrorCode, pointer: string): Uint8Array {
  if (!(value instanceof Uint8Array)) {
    refuse(code, pointer, `${pointer} must be a Uint8Array of DER, not ${show(value)}`)
  }
  try {
    readSingle(value)
  } catch (cause) {
    const message = `${pointer} must be the bytes of one DER element`
    throw new KeystayError(code, message, { cause, pointer })
  }
  return value.slice()
}

/**
 * Refuses what an object has beside the properties that are known.
 * @param rest what destructuring the known ones left over
 * @throws {KeystayError} `field_unknown`
 */
export function refuseRest(rest: object, pointer: string, known: string): void {
  const [unknown] = Object.keys(rest)
  if (unknown === undefined) return
  const at = pointerTo(pointer, unknown)
  refuse('field_unknown', at, `${at} is not known; known here are ${known}`)
}

/** Refuses what is not an object with properties. @throws {KeystayError} `field_invalid` */
export function checkObject(
  value: unknown,
  pointer: string,
  shape: string,
): asserts value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse('field_invalid', pointer, `${pointer} must be ${shape}, not ${show(value)}`)
  }
}

/** Refuses what is not an array. @throws {KeystayError} `field_invalid` */
export function checkArray(value: unknown, pointer: string): asserts value is readonly unknown[] {
  if (!Array.isArray(value)) {
    refuse('field_invalid', pointer, `${pointer} must be an array, not ${show(value)}`)
  }
}
