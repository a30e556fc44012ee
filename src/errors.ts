/**
 * Every code a {@link KeystayError} can carry. Codes are stable: they are never renamed or given
 * another meaning. `docs/errors.md` explains each; a test holds the two together.
 */
export type ErrorCode =
  // DER and PEM
  | 'der_invalid'
  | 'pem_invalid'
  // algorithms and public keys
  | 'key_type_unknown'
  | 'signature_algorithm_unknown'
  | 'signature_algorithm_mismatch'
  | 'signature_value_invalid'
  | 'public_key_invalid'
  | 'public_key_unsupported'
  // URIs and secrets
  | 'uri_invalid'
  | 'uri_scheme_unknown'
  | 'uri_attribute_unknown'
  | 'uri_attribute_repeated'
  | 'secret_source_invalid'
  | 'secret_source_unreadable'
  | 'secret_source_empty'
  // any backend
  | 'peer_missing'
  | 'backend_closed'
  | 'backend_unavailable'
  | 'key_type_unsupported'
  | 'signature_algorithm_unsupported'
  | 'label_invalid'
  | 'label_taken'
  | 'key_uri_foreign'
  | 'key_not_found'
  | 'key_ambiguous'
  | 'message_too_long'

/** What a {@link KeystayError} may carry beside its code and message. */
export interface KeystayErrorOptions {
  /** The error of the device, driver or parser underneath. */
  readonly cause?: unknown
  /** RFC 6901 JSON pointer of the input that is wrong, for instance `/subject/country`. */
  readonly pointer?: string
}

/**
 * An expected failure: bad input, an absent key, a device that refuses. The message says what was
 * wrong and what would be right; it never contains a PIN, a credential or key material. Misuse by
 * the programmer (a wrong argument type) is a `TypeError` instead.
 */
export class KeystayError extends Error {
  override readonly name = 'KeystayError'
  readonly code: ErrorCode
  readonly pointer: string | undefined

  constructor(code: ErrorCode, message: string, options: KeystayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.pointer = options.pointer
  }
}
