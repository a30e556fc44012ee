import { KeystayError } from '../../errors.ts'
import { keyTypeFacts, type KeyType } from '../algorithms.ts'
import { checkArray, refuse, refuseRest, show } from '../checks.ts'
import { checkRequest, type CsrRequest } from './request.ts'
import type { SubjectAltName } from './subject-alt-names.ts'
import type { SubjectFields } from './subject.ts'

/** A custom CSR as its record asks for it. */
export interface CustomCsrRequest {
  /** Checked: `CsrBuilder` takes it as it is. */
  readonly request: CsrRequest
  /** Absent where the record leaves it open; the default is `rsa2048`. */
  readonly keyType: KeyType | undefined
  readonly name: string | undefined
  readonly description: string | undefined
}

/** The subject's fields by their names in the record, and whether they must be there. */
const SUBJECT_FIELDS = [
  ['country', 'country', true],
  ['state', 'state', true],
  ['locality', 'locality', true],
  ['organization', 'organization', true],
  ['organizational_unit', 'organizationalUnit', false],
  ['common_name', 'commonName', true],
] as const

const KNOWN = [...SUBJECT_FIELDS.map(([wire]) => wire), 'sans', 'key_type', 'name', 'description']

/** The most characters of one name in the record. */
const MAX_SAN = 255

/**
 * Reads the record of a custom CSR (snake_case JSON) strictly, the request in it included.
 * @param options what to do with names that are not ASCII, which the record cannot say
 * @throws {KeystayError} `request_invalid`, `field_missing`, `field_unknown`, `text_expected`,
 *   `text_empty`, `san_too_long`, `key_type_unknown`, and what `CsrBuilder` throws; pointers are to
 *   the record
 */
export function parseCustomCsrRequest(
  record: unknown,
  { internationalNames }: Pick<CsrRequest, 'internationalNames'> = {},
): CustomCsrRequest {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    refuse('request_invalid', '', `a custom CSR is a JSON object, not ${show(record)}`)
  }
  const { sans, key_type: keyType, name, description, ...rest } = record as Record<string, unknown>
  const subject = takeSubject(rest)
  refuseRest(rest, '', KNOWN.join(', '))
  const request: CsrRequest = { subject, sans: takeSans(sans), internationalNames }
  checkInRecordTerms(request)
  return {
    request,
    keyType: takeKeyType(keyType),
    name: takeText(name, '/name'),
    description: takeText(description, '/description'),
  }
}

/** Moves the subject's fields out of what is left of the record. */
function takeSubject(rest: Record<string, unknown>): SubjectFields {
  const subject: Record<string, string> = {}
  for (const [wire, field, required] of SUBJECT_FIELDS) {
    const value = takeText(rest[wire], `/${wire}`)
    if (value !== undefined) subject[field] = value
    else if (required) refuse('field_missing', `/${wire}`, `${wire} is missing; it is required`)
    Reflect.deleteProperty(rest, wire)
  }
  return subject
}

/** Text that may be absent. JSON's `null` is not absence: it says something, and not a text. */
function takeText(value: unknown, pointer: string): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  refuse('text_expected', pointer, `${pointer} must be text, not ${show(value)}`)
}

function takeSans(sans: unknown): readonly SubjectAltName[] {
  if (sans === undefined) refuse('field_missing', '/sans', 'sans is missing; it is required')
  checkArray(sans, '/sans')
  if (sans.length === 0) {
    refuse('field_missing', '/sans', 'sans is empty; at least one name is required')
  }
  for (const [index, san] of sans.entries()) {
    if (typeof san === 'string' && san.length > MAX_SAN) {
      refuse(
        'san_too_long',
        `/sans/${index}`,
        `/sans/${index} has ${san.length} characters; at most ${MAX_SAN} are allowed`,
      )
    }
  }
  return sans as readonly SubjectAltName[]
}

function takeKeyType(value: unknown): KeyType | undefined {
  const keyType = takeText(value, '/key_type')
  if (keyType !== undefined) keyTypeFacts(keyType)
  return keyType as KeyType | undefined
}

/** Checks the request, with the pointers of the record in the errors. */
function checkInRecordTerms(request: CsrRequest): void {
  try {
    checkRequest(request)
  } catch (error) {
    if (!(error instanceof KeystayError)) throw error
    const { code, pointer = '', message } = error
    const [, field] = /^\/subject\/(\w+)$/.exec(pointer) ?? []
    const wire = SUBJECT_FIELDS.find(([, name]) => name === field)?.[0]
    if (wire === undefined) throw error
    throw new KeystayError(code, message.replaceAll(pointer, `/${wire}`), { pointer: `/${wire}` })
  }
}
