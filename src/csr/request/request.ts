import { PRINTABLE, STRING_TAGS, checkText, pointerTo, refuse, show } from '../checks.ts'
import { checkExtensions, type CheckedExtension, type RequestedExtensions } from './extensions.ts'
import {
  checkSubjectAltNames,
  type CheckedName,
  type ConvertedName,
  type SubjectAltName,
} from './subject-alt-names.ts'
import { checkSubject, type CheckedSubject, type Subject } from './subject.ts'

/** What a certificate signing request asks for: a subject, or alternative names, or both. */
export interface CsrRequest extends RequestedExtensions {
  readonly subject?: Subject | undefined
  readonly sans?: readonly SubjectAltName[] | undefined
  /** Some CAs want one (RFC 2985 section 5.4.1). Whoever has the request can read it. */
  readonly challengePassword?: string | undefined
  /**
   * What to do with domain names that are not ASCII: `refuse` (the default) names the A-label form
   * in the error; `convert` converts them, and a common name that repeats one of them, and says
   * so in `Csr.convertedNames`.
   */
  readonly internationalNames?: 'refuse' | 'convert' | undefined
}

/** A request in which nothing is wrong. */
export interface CheckedRequest {
  readonly subject: CheckedSubject
  readonly sans: readonly CheckedName[]
  readonly extensions: readonly CheckedExtension[]
  readonly challengePassword: { readonly tag: number; readonly value: string } | undefined
  readonly convertedNames: readonly ConvertedName[]
}

const FIELDS: ReadonlySet<string> = new Set<keyof CsrRequest>([
  'subject',
  'sans',
  'keyUsage',
  'extKeyUsage',
  'basicConstraints',
  'tlsFeature',
  'certificateTemplateName',
  'extensions',
  'challengePassword',
  'internationalNames',
])

/**
 * Checks a whole request, so that encoding it cannot fail.
 * @throws {KeystayError} `request_invalid`, `request_empty`, `field_…`, and what `checkSubject`,
 *   `checkSubjectAltNames` and `checkExtensions` throw; with the pointer of the wrong value
 */
export function checkRequest(request: CsrRequest): CheckedRequest {
  if (typeof request !== 'object' || (request as unknown) === null || Array.isArray(request)) {
    refuse('request_invalid', '', `a request must be an object, not ${show(request)}`)
  }
  for (const name of Object.keys(request)) {
    if (!FIELDS.has(name)) {
      refuse(
        'field_unknown',
        pointerTo('', name),
        `${show(name)} is not known in a request; known are ${[...FIELDS].join(', ')}`,
      )
    }
  }
  const convertedNames: ConvertedName[] = []
  const converting = isConverting(request.internationalNames)
  const sans = checkSubjectAltNames(request.sans, converting ? convertedNames : undefined)
  const subject = checkSubject(request.subject, (unicode, pointer) => {
    const ascii = convertedNames.find((name) => name.unicode === unicode)?.ascii
    if (ascii !== undefined) convertedNames.push({ unicode, ascii, pointer })
    return ascii ?? unicode
  })
  if (subject.length === 0 && sans.length === 0) {
    refuse('request_empty', '', 'a request names nobody; give a subject, sans, or both')
  }
  return {
    subject,
    sans,
    extensions: checkExtensions(request),
    challengePassword: checkChallengePassword(request.challengePassword),
    convertedNames,
  }
}

function isConverting(choice: unknown): boolean {
  if (choice === 'convert') return true
  if (choice === undefined || choice === 'refuse') return false
  refuse(
    'field_invalid',
    '/internationalNames',
    `/internationalNames must be "refuse" or "convert", not ${show(choice)}`,
  )
}

/** RFC 2985 section 5.4.1: PrintableString where it can be, else UTF8String; at most 255. */
function checkChallengePassword(value: string | undefined): CheckedRequest['challengePassword'] {
  if (value === undefined) return undefined
  checkText(value, '/challengePassword', 255)
  return { tag: PRINTABLE.test(value) ? STRING_TAGS.printable : STRING_TAGS.utf8, value }
}
