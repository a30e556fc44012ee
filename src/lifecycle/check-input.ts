import { keyTypeFacts, type KeyType } from '../csr/algorithms.ts'
import { checkArray, checkText, pointerTo, refuse, refuseRest, show } from '../csr/checks.ts'
import { CsrBuilder } from '../csr/csr-builder.ts'
import { checkDnsName } from '../csr/names/dns-name.ts'
import { KeystayError } from '../errors.ts'
import type { CustomCsrSubject, Scope } from '../store/store.ts'
import type { CustomCsrInput, Warning } from './custom-csr.ts'
import { checkNamePolicy, type RefusedNames } from './name-policy.ts'

/** What is done with a common name that is not among the SANs. */
export type CommonNameRule = 'warn' | 'add'

export interface InputRules {
  readonly refuseNames: RefusedNames
  readonly commonName: CommonNameRule
}

/** An input in which nothing is wrong. */
export interface CheckedInput {
  readonly builder: CsrBuilder
  readonly subject: CustomCsrSubject
  readonly sans: readonly string[]
  readonly keyType: KeyType
  readonly name: string | undefined
  readonly description: string | undefined
  readonly warnings: readonly Warning[]
}

const REQUIRED = ['country', 'state', 'locality', 'organization', 'commonName'] as const
const FIELDS = [...REQUIRED, 'organizationalUnit', 'sans', 'keyType', 'name', 'description']

const MAX_SAN = 255
const MAX_NAME = 255
const MAX_DESCRIPTION = 1024
/** Here a text is only seen to be one: the builder knows each field's own bound (RFC 5280). */
const MAX_TEXT = 1024

/**
 * Checks an input whole, before any row or key exists.
 * @throws {KeystayError} `request_invalid`, `field_missing`, `field_unknown`, `san_too_long`,
 *   `key_type_unknown`, `dns_name_…`, and what `CsrBuilder` throws; pointers are into the input
 */
export function checkInput(input: CustomCsrInput, rules: InputRules): CheckedInput {
  if (typeof input !== 'object' || (input as unknown) === null || Array.isArray(input)) {
    refuse('request_invalid', '', `a custom CSR is asked for by an object, not ${show(input)}`)
  }
  const { sans: asked, keyType = 'rsa2048', name, description, ...rest } = input
  const subject = takeSubject(rest)
  const sans = checkSans(asked, rules.refuseNames)
  const { commonName } = subject
  const missing = !sans.some((san) => san.toLowerCase() === commonName.toLowerCase())
  const adding = missing && rules.commonName === 'add'
  if (adding) checkSan(commonName, '/commonName', rules.refuseNames)
  const allSans = adding ? [...sans, commonName] : sans
  keyTypeFacts(keyType)
  return {
    builder: buildRequest(subject, allSans),
    subject,
    sans: allSans,
    keyType,
    name: takeText(name, '/name', MAX_NAME),
    description: takeText(description, '/description', MAX_DESCRIPTION),
    warnings: missing ? [warnOfCommonName(commonName, adding)] : [],
  }
}

/** Many clients send an empty text for what they leave out. */
function takeText(value: unknown, pointer: string, max: number): string | undefined {
  if (value === undefined || value === '') return undefined
  checkText(value, pointer, max)
  return value
}

function takeSubject(rest: Partial<CustomCsrInput>): CustomCsrSubject {
  const { country, state, locality, organization, organizationalUnit, commonName, ...other } = rest
  refuseRest(other, '', FIELDS.join(', '))
  const subject = { country, state, locality, organization, commonName }
  for (const field of REQUIRED) {
    const value: unknown = subject[field]
    if (value === undefined || value === '') {
      refuse('field_missing', `/${field}`, `/${field} is missing; it is required`)
    }
    // A CSR could hold several values; this record holds one.
    checkText(value, `/${field}`, MAX_TEXT)
  }
  const unit = takeText(organizationalUnit, '/organizationalUnit', MAX_TEXT)
  return {
    ...(subject as CustomCsrSubject),
    ...(unit !== undefined && { organizationalUnit: unit }),
  }
}

function checkSans(sans: unknown, refused: RefusedNames): readonly string[] {
  if (sans === undefined) refuse('field_missing', '/sans', '/sans is missing; it is required')
  checkArray(sans, '/sans')
  if (sans.length === 0) {
    refuse('field_missing', '/sans', '/sans is empty; at least one name is required')
  }
  for (const [index, san] of sans.entries()) {
    checkSan(san, pointerTo('/sans', String(index)), refused)
  }
  return sans as readonly string[]
}

function checkSan(san: unknown, pointer: string, refused: RefusedNames): void {
  if (typeof san !== 'string') {
    refuse('text_expected', pointer, `${pointer} must be a DNS name, not ${show(san)}`)
  }
  if (san.length > MAX_SAN) {
    refuse(
      'san_too_long',
      pointer,
      `${pointer} has ${san.length} characters; at most ${MAX_SAN} are allowed`,
    )
  }
  checkDnsName(san, pointer)
  checkNamePolicy(san, pointer, refused)
}

/** Checks the request as it will be encoded, with pointers into the input. */
function buildRequest(subject: CustomCsrSubject, sans: readonly string[]): CsrBuilder {
  try {
    return new CsrBuilder({ subject, sans })
  } catch (error) {
    if (!(error instanceof KeystayError) || error.pointer?.startsWith('/subject/') !== true)
      throw error
    const pointer = error.pointer.slice('/subject'.length)
    throw new KeystayError(error.code, error.message.replaceAll(error.pointer, pointer), {
      pointer,
    })
  }
}

function warnOfCommonName(commonName: string, added: boolean): Warning {
  const name = show(commonName)
  return added
    ? {
        code: 'common_name_added',
        message: `the common name ${name} was not among the SANs, and has been added to them`,
        pointer: '/commonName',
      }
    : {
        code: 'common_name_not_in_sans',
        message: `the common name ${name} is not among the SANs; clients look at the SANs only, and most CAs refuse such a request or drop the common name`,
        pointer: '/commonName',
      }
}

/** Ids of zones and accounts: safe in paths, logs and labels. */
const SCOPE_ID = /^[A-Za-z0-9_-]{1,64}$/

/** @throws {KeystayError} `scope_invalid` */
export function checkScope({ kind, id }: Scope): void {
  const known: readonly unknown[] = ['zone', 'account']
  if (!known.includes(kind) || typeof id !== 'string' || !SCOPE_ID.test(id)) {
    throw new KeystayError(
      'scope_invalid',
      `a scope is a zone or an account, with an id of 1 to 64 of the characters A-Z a-z 0-9 _ -, not ${show(kind)} ${show(id)}`,
      { pointer: '/scope' },
    )
  }
}

const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i

/** The id as it is stored. @throws {KeystayError} `custom_csr_id_invalid` */
export function checkCsrId(id: string): string {
  if (typeof id === 'string' && UUID.test(id)) return id.toLowerCase()
  throw new KeystayError(
    'custom_csr_id_invalid',
    `the id of a custom CSR is a UUID (RFC 9562), not ${show(id)}`,
  )
}

/** Printable ASCII: what an HTTP header can carry unharmed. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/

/** @throws {KeystayError} `idempotency_key_invalid` */
export function checkIdempotencyKey(key: string): void {
  if (typeof key === 'string' && IDEMPOTENCY_KEY.test(key)) return
  throw new KeystayError(
    'idempotency_key_invalid',
    'an idempotency key is 1 to 255 printable ASCII characters without spaces, for instance a UUID',
  )
}
