import type { ErrorCode } from '../errors.ts'
import type { WarningCode } from '../lifecycle/custom-csr.ts'
import type { RefusalReason } from './access.ts'

/** One failure as clients see it. */
export interface WireCode {
  readonly status: 400 | 401 | 403 | 404 | 405 | 408 | 409 | 413 | 415 | 422 | 499 | 500
  readonly code: number
  /** For the OpenAPI document, and the message where the failure brings none of its own. */
  readonly meaning: string
  /** Whether `meaning` is said even where the failure brings a message: it might tell too much. */
  readonly fixed?: boolean
  /** Whether the same request may succeed soon. */
  readonly passing?: boolean
}

/** Failures that are the same for every resource; codes the tables lack are 10000 + status. */
export type GeneralFailure =
  | 'bad_parameter'
  | 'route_unknown'
  | 'method_refused'
  | 'body_slow'
  | 'busy'
  | 'body_too_large'
  | 'body_not_json_type'
  | 'body_encoded'
  | 'unprocessable'
  | 'client_gone'
  | 'internal'

export const GENERAL: Readonly<Record<GeneralFailure, WireCode>> = {
  bad_parameter: { status: 400, code: 10400, meaning: 'A query parameter or header is not valid' },
  route_unknown: { status: 404, code: 10404, meaning: 'There is nothing at this path' },
  method_refused: {
    status: 405,
    code: 10405,
    meaning: 'This path does not know the method; the header Allow says which it knows',
  },
  body_slow: {
    status: 408,
    code: 10408,
    meaning: 'The body did not arrive in time',
    passing: true,
  },
  busy: {
    status: 409,
    code: 10409,
    meaning: 'A request with the same Idempotency-Key is being worked on; try again in a moment',
    passing: true,
  },
  body_too_large: { status: 413, code: 10413, meaning: 'The body is too large' },
  body_not_json_type: {
    status: 415,
    code: 10415,
    meaning: "The body must be JSON in UTF-8, and say so: -H 'Content-Type: application/json'",
  },
  body_encoded: {
    status: 415,
    code: 10415,
    meaning: 'The body must be sent as it is, without a Content-Encoding',
  },
  unprocessable: {
    status: 422,
    code: 10422,
    meaning: 'The Idempotency-Key stands for another request, or for a CSR deleted since',
  },
  client_gone: { status: 499, code: 10499, meaning: 'The client went away' },
  internal: { status: 500, code: 1500, meaning: 'Internal server error', fixed: true },
}

function token(code: number, meaning: string): WireCode {
  return { status: 401, code, meaning }
}

/** Why a request was not recognized: the same codes for every resource. */
export const REFUSALS: Readonly<Record<RefusalReason, WireCode>> = {
  token_missing: token(1000, 'The authorization header has no token'),
  token_malformed: token(1001, 'The token has not the form of one'),
  token_header_invalid: token(1002, 'The authorization headers do not belong together'),
  token_invalid: token(1003, 'The token is unknown, revoked or expired'),
  token_claims_unreadable: token(1004, 'What the token allows could not be found out'),
  token_claims_missing: token(1005, 'The token allows nothing'),
}

/** Codes for what is wrong with one field of a body. */
export interface FieldCodes {
  readonly any: WireCode
  /** Where its text is too long. */
  readonly long?: WireCode
  /** Where it is a list, and something in it is wrong. */
  readonly item?: WireCode
}

/** The codes of one resource: the same number means another thing on another resource. */
export interface ResourceCodes {
  readonly scope: WireCode
  readonly noCredentials: WireCode
  readonly id: WireCode
  readonly forbidden: WireCode
  readonly notFound: WireCode
  readonly body: WireCode
  /** By the field's name on the wire; others have `body`. */
  readonly fields: Readonly<Record<string, FieldCodes>>
  /** For failures that are told by their code alone. */
  readonly codes: Readonly<Partial<Record<ErrorCode, WireCode>>>
}

function bad(code: number, meaning: string): WireCode {
  return { status: 400, code, meaning }
}

const SAN_NOT_ASCII = bad(
  1413,
  'A SAN is not ASCII; give its A-label form, such as xn--mnchen-3ya.de',
)
const KEY_TYPE = bad(1417, 'The key type is not known, or the device does not make it')
const CSR_ID: WireCode = { ...bad(1418, 'The id of the custom CSR must be a UUID'), fixed: true }
const CSR_SCOPE = {
  ...bad(1401, 'The id of the zone or account must be 1 to 64 of the characters A-Z a-z 0-9 _ -'),
  fixed: true,
}
const CSR_NOT_FOUND: WireCode = {
  status: 404,
  code: 1419,
  meaning: 'There is no custom CSR with this id',
  fixed: true,
}

export const CUSTOM_CSR_CODES: ResourceCodes = {
  scope: CSR_SCOPE,
  noCredentials: bad(
    1402,
    'The request has no credentials; send Authorization: Bearer, or X-Auth-Email with X-Auth-Key, or X-Auth-User-Service-Key',
  ),
  id: CSR_ID,
  forbidden: { status: 403, code: 1404, meaning: 'You may not do this here', fixed: true },
  notFound: CSR_NOT_FOUND,
  body: bad(1400, 'The body is not a JSON object, or a field in it is not known or not valid'),
  fields: {
    country: { any: bad(1405, 'country is missing or not valid') },
    state: { any: bad(1406, 'state is missing or not valid') },
    locality: { any: bad(1407, 'locality is missing or not valid') },
    organization: { any: bad(1408, 'organization is missing or not valid') },
    common_name: {
      any: bad(1409, 'common_name is missing or not valid'),
      long: bad(1410, 'common_name has more than 64 characters'),
    },
    sans: {
      any: bad(1411, 'sans is missing, empty or not a list'),
      item: bad(1412, 'A SAN is not a valid DNS name of at most 255 characters'),
    },
    key_type: { any: KEY_TYPE },
  },
  codes: {
    scope_invalid: CSR_SCOPE,
    custom_csr_id_invalid: CSR_ID,
    custom_csr_not_found: CSR_NOT_FOUND,
    custom_csr_in_use: {
      status: 409,
      code: 1420,
      meaning: 'A certificate uses the key of the CSR',
    },
    quota_exceeded: { status: 403, code: 1403, meaning: 'No more custom CSRs are allowed here' },
    idempotency_key_invalid: GENERAL.bad_parameter,
    idempotency_key_busy: GENERAL.busy,
    idempotency_key_reused: GENERAL.unprocessable,
    idempotent_csr_deleted: GENERAL.unprocessable,
    list_option_invalid: GENERAL.bad_parameter,
    key_type_unknown: KEY_TYPE,
    key_type_unsupported: { ...KEY_TYPE, fixed: true },
    dns_name_international: { ...SAN_NOT_ASCII, fixed: true },
    dns_name_unconvertible: SAN_NOT_ASCII,
    dns_name_reserved: bad(
      1414,
      'A SAN is under a reserved top domain: test, example, invalid, localhost',
    ),
    dns_name_public_suffix: bad(1415, 'A SAN has no public suffix, or is one'),
    dns_name_prohibited: bad(1416, 'A SAN is under example.com, example.net or example.org'),
  },
}

/** Failures that are about the input, whose message may be shown. Every other one is a bare 500. */
export const INPUT_FAILURES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'request_invalid',
  'request_empty',
  'field_unknown',
  'field_invalid',
  'field_missing',
  'text_expected',
  'text_empty',
  'text_control_character',
  'text_not_unicode',
  'text_not_printable',
  'text_not_ascii',
  'text_too_long',
  'subject_country_invalid',
  'san_kind_unknown',
  'san_repeated',
  'san_too_long',
  'dns_name_empty',
  'dns_name_is_ip',
  'dns_name_is_email',
  'dns_name_is_uri',
  'dns_name_too_long',
  'dns_name_trailing_dot',
  'dns_wildcard_invalid',
  'dns_label_empty',
  'dns_label_too_long',
  'dns_label_underscore',
  'dns_label_character',
  'dns_label_hyphen',
  'dns_label_reserved',
  'dns_label_not_idna',
  'dns_name_refused',
])

/** What is said instead where the library's message advises what a custom CSR cannot have. */
export const REWORDED: Readonly<Partial<Record<ErrorCode, string>>> = {
  dns_name_is_ip: 'is an IP address; the names of a custom CSR are DNS names',
  dns_name_is_email: 'is an e-mail address; the names of a custom CSR are DNS names',
  dns_name_is_uri: 'is a URI; give the host name alone',
}

/** Codes of `messages`: the work was done, and something about it is worth knowing. */
export const WARNINGS: Readonly<Record<WarningCode, { code: number; meaning: string }>> = {
  common_name_not_in_sans: { code: 2001, meaning: 'The common name is not among the SANs' },
  common_name_added: { code: 2002, meaning: 'The common name was added to the SANs' },
  key_destruction_scheduled: { code: 2003, meaning: 'The key is destroyed at a later date' },
  key_destruction_pending: {
    code: 2004,
    meaning: 'The key is destroyed as soon as its device answers',
  },
}
