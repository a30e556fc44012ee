import { KeystayError, type ErrorCode } from '../../src/errors.ts'

/** What was being done when a call failed, for messages. */
export interface CallContext {
  readonly operation: string
  /** Key id, ARN or alias of the call, where it is about one key. */
  readonly keyId?: string | undefined
  readonly region: string
}

/** The members of the SDK's errors that tell one from another. */
interface SdkError {
  readonly name?: string
  readonly code?: unknown
  readonly message?: string
  readonly $metadata?: { readonly httpStatusCode?: number }
}

type Sentence = (context: CallContext) => string

const key = ({ keyId }: CallContext): string => `the key ${keyId ?? ''}`
const refused: Sentence = ({ region }) =>
  `AWS does not accept these credentials in ${region}; check access key and secret, that the endpoint belongs to this region, and this machine's clock`
const expired: Sentence = () =>
  'the AWS credentials have expired; renew them (sign in again, or let the provider refresh them)'
const missing: Sentence = () =>
  'no AWS credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile in the URI, run where a role is attached, or pass the option credentials'
const throttled: Sentence = ({ operation, region }) =>
  `AWS KMS throttles ${operation} in ${region}; slow down (option callsPerSecond) or have the quota raised`

/** Errors of KMS, of the signature check before it, and of the SDK's providers, by name. */
const BY_NAME = new Map<string, readonly [ErrorCode, Sentence]>([
  ['AccessDeniedException', ['kms_access_denied', describeDenial]],
  ['CredentialsProviderError', ['kms_credentials_missing', missing]],
  ['TokenProviderError', ['kms_credentials_missing', missing]],
  ['ExpiredToken', ['kms_credentials_expired', expired]],
  ['ExpiredTokenException', ['kms_credentials_expired', expired]],
  ['IncompleteSignatureException', ['kms_credentials_invalid', refused]],
  ['InvalidClientTokenId', ['kms_credentials_invalid', refused]],
  ['InvalidSignatureException', ['kms_credentials_invalid', refused]],
  ['MissingAuthenticationTokenException', ['kms_credentials_invalid', refused]],
  ['SignatureDoesNotMatch', ['kms_credentials_invalid', refused]],
  ['UnrecognizedClientException', ['kms_credentials_invalid', refused]],
  ['ThrottlingException', ['kms_throttled', throttled]],
  ['TooManyRequestsException', ['kms_throttled', throttled]],
  [
    'LimitExceededException',
    [
      'kms_key_quota_reached',
      ({ region }) =>
        `the quota of KMS keys in ${region} is reached (keys that wait for deletion count); destroy keys or have the quota raised`,
    ],
  ],
  [
    'NotFoundException',
    [
      'key_not_found',
      (context) =>
        `AWS KMS has no ${context.keyId ?? 'such key'} in ${context.region} for these credentials; check id, region and account (an alias is written alias/…)`,
    ],
  ],
  [
    'DisabledException',
    ['kms_key_disabled', (context) => `${key(context)} is disabled; EnableKey makes it usable`],
  ],
  [
    'KMSInvalidStateException',
    [
      'kms_key_unavailable',
      (context) =>
        `${key(context)} is in a state that forbids this call; see the key in the AWS console`,
    ],
  ],
  ['InvalidKeyUsageException', ['kms_key_unsuitable', describeUnsuitable]],
  ['UnsupportedOperationException', ['kms_key_unsuitable', describeUnsuitable]],
])

function describeDenial(context: CallContext): string {
  const permission =
    context.operation === 'CreateKey'
      ? 'kms:CreateKey or kms:TagResource (keys are tagged as they are created)'
      : `kms:${context.operation}`
  const where = context.keyId === undefined ? '' : ` on ${context.keyId}`
  return `AWS denies ${permission}${where} to these credentials; allow it in their IAM policy, and look for a key policy or organisation policy that forbids it`
}

function describeUnsuitable(context: CallContext): string {
  return `${key(context)} cannot sign requests; use an asymmetric key whose usage is SIGN_VERIFY`
}

/** The connection was never made, so nothing was done. TLS failures have names of their own. */
const NOT_CONNECTED =
  /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EACCES|ERR_TLS_.*|CERT_.*|DEPTH_ZERO_.*|SELF_SIGNED_.*|UNABLE_TO_.*)$/

/** A KeySpec that a region lacks is a bad value like any other: only the message tells. */
function isKeySpecRefused(name: string, message: string): boolean {
  return (
    name === 'UnsupportedOperationException' ||
    (name === 'ValidationException' && /'keySpec'/i.test(message))
  )
}

function classify(error: SdkError, context: CallContext): [ErrorCode, string] {
  const { operation, region } = context
  const { name = '', message = '', $metadata } = error
  const code = typeof error.code === 'string' ? error.code : ''
  const status = $metadata?.httpStatusCode
  if (NOT_CONNECTED.test(code)) {
    return [
      'kms_unreachable',
      `AWS KMS cannot be reached for ${operation} (${code}); check the network, that the region ${region} exists, and the endpoint if one is set`,
    ]
  }
  if (operation === 'CreateKey' && isKeySpecRefused(name, message)) {
    return [
      'key_type_unsupported',
      `AWS KMS in ${region} does not offer this type of key; use another type or region`,
    ]
  }
  const known = BY_NAME.get(name)
  if (known !== undefined) return [known[0], known[1](context)]
  if (status !== undefined && status >= 400 && status < 500) {
    return ['kms_request_rejected', `AWS KMS rejects ${operation}: ${name}: ${message}`]
  }
  if (name === 'TimeoutError' && code === '') {
    return ['kms_timeout', `AWS KMS did not answer ${operation} in time; try again`]
  }
  return [
    'backend_unavailable',
    `AWS KMS failed to answer ${operation} (${status === undefined ? code || name : `HTTP ${status}`}); try again`,
  ]
}

/** An error of the SDK as one of ours. */
export function toKeystayError(error: unknown, context: CallContext): KeystayError {
  if (error instanceof KeystayError) return error
  const [code, message] = classify(error ?? {}, context)
  return new KeystayError(code, message, { cause: withoutRequest(error) })
}

/**
 * The SDK's errors carry the HTTP response, and that its request with the session token in a
 * header: a copy goes on that carries neither.
 */
function withoutRequest(error: unknown): unknown {
  if (!(error instanceof Error) || !('$response' in error)) return error
  const { name, message, stack, $metadata } = error as Error & SdkError
  return Object.assign(new Error(message), { name, stack, $metadata })
}

/** Whether an error is ours and carries one of these codes. */
export function isKeystayError(error: unknown, ...codes: ErrorCode[]): error is KeystayError {
  return error instanceof KeystayError && codes.includes(error.code)
}

/** Whether KMS may have done what was asked, although it did not say so. */
export function isUnclear(error: unknown): error is KeystayError {
  return isKeystayError(error, 'kms_timeout', 'backend_unavailable')
}
