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
  // requests: shape
  | 'request_invalid'
  | 'request_empty'
  | 'field_unknown'
  | 'field_invalid'
  | 'field_missing'
  | 'oid_invalid'
  // requests: text
  | 'text_expected'
  | 'text_empty'
  | 'text_control_character'
  | 'text_not_unicode'
  | 'text_not_printable'
  | 'text_not_ascii'
  | 'text_not_bmp'
  | 'text_too_long'
  // requests: subject
  | 'subject_country_invalid'
  | 'subject_value_repeated'
  | 'subject_rdn_empty'
  | 'subject_oid_known'
  | 'subject_string_type_unknown'
  // requests: subject alternative names
  | 'san_kind_unknown'
  | 'san_repeated'
  | 'dns_name_empty'
  | 'dns_name_is_ip'
  | 'dns_name_is_email'
  | 'dns_name_is_uri'
  | 'dns_name_too_long'
  | 'dns_name_trailing_dot'
  | 'dns_name_international'
  | 'dns_name_unconvertible'
  | 'dns_wildcard_invalid'
  | 'dns_label_empty'
  | 'dns_label_too_long'
  | 'dns_label_underscore'
  | 'dns_label_character'
  | 'dns_label_hyphen'
  | 'dns_label_reserved'
  | 'dns_label_not_idna'
  | 'ip_invalid'
  | 'ip_zone'
  | 'ip_prefix'
  | 'email_invalid'
  | 'email_local_part_international'
  | 'email_too_long'
  | 'uri_san_relative'
  | 'uri_san_character'
  | 'uri_san_host'
  | 'upn_invalid'
  | 'other_name_invalid'
  // requests: extensions
  | 'key_usage_unknown'
  | 'ext_key_usage_unknown'
  | 'extension_values_empty'
  | 'extension_values_repeated'
  | 'basic_constraints_invalid'
  | 'tls_feature_unknown'
  | 'extension_value_invalid'
  | 'extension_repeated'
  | 'extension_reserved'
  // requests: signing
  | 'key_type_mismatch'
  | 'csr_verification_failed'
  // requests: reading
  | 'csr_empty'
  | 'csr_too_large'
  | 'csr_not_found'
  | 'csr_several'
  | 'csr_private_key'
  | 'csr_pem_type'
  | 'csr_base64_invalid'
  | 'csr_is_certificate'
  | 'csr_malformed'
  | 'csr_extension_repeated'
  // requests: the custom CSR record
  | 'san_too_long'
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
  // keyring
  | 'keyring_secret_missing'
  | 'keyring_secret_too_short'
  | 'keyring_secret_wrong'
  | 'keyring_directory_invalid'
  | 'keyring_directory_exposed'
  | 'keyring_damaged'
  | 'keyring_version_unsupported'
  | 'keyring_key_foreign'
  | 'crypto_key_invalid'
  // PKCS#11
  | 'pkcs11_module_not_found'
  | 'pkcs11_module_invalid'
  | 'pkcs11_call_failed'
  | 'token_not_found'
  | 'token_ambiguous'
  | 'token_uninitialized'
  | 'token_sessions_exhausted'
  | 'token_login_taken'
  | 'token_full'
  | 'token_read_only'
  | 'pin_missing'
  | 'pin_value_refused'
  | 'pin_uninitialized'
  | 'pin_incorrect'
  | 'pin_latched'
  | 'pin_differs'
  | 'pin_final_try'
  | 'pin_locked'
  | 'pin_expired'
  | 'template_refused'
  | 'key_exportable'
  | 'key_use_refused'
  | 'public_key_unreadable'
  | 'operation_timeout'
  | 'softhsm_missing'
  // the command
  | 'usage_invalid'
  | 'input_unreadable'
  | 'input_too_large'
  | 'output_exists'
  | 'output_unwritable'
  | 'backend_not_durable'
  | 'key_type_conflict'
  | 'not_confirmed'
  | 'csr_signature_invalid'
  | 'diagnosis_failed'
  | 'interrupted'
  | 'unexpected'
  // the command: serving
  | 'credentials_missing'
  | 'credentials_invalid'
  | 'credentials_exposed'
  | 'credential_not_found'
  | 'address_unavailable'
  // the service
  | 'custom_csr_not_found'
  | 'custom_csr_id_invalid'
  | 'custom_csr_in_use'
  | 'scope_invalid'
  | 'quota_exceeded'
  | 'idempotency_key_invalid'
  | 'idempotency_key_reused'
  | 'idempotency_key_busy'
  | 'idempotent_csr_deleted'
  | 'list_option_invalid'
  | 'dns_name_reserved'
  | 'dns_name_prohibited'
  | 'dns_name_public_suffix'
  | 'dns_name_refused'
  | 'creation_lost'
  | 'service_closed'
  | 'backend_unknown'
  // stores
  | 'store_uri_invalid'
  | 'store_unavailable'
  | 'store_closed'
  | 'store_failed'
  | 'store_full'
  | 'store_read_only'
  | 'store_newer'
  // AWS KMS
  | 'kms_region_missing'
  | 'kms_region_mismatch'
  | 'kms_credentials_missing'
  | 'kms_credentials_invalid'
  | 'kms_credentials_expired'
  | 'kms_access_denied'
  | 'kms_unreachable'
  | 'kms_timeout'
  | 'kms_throttled'
  | 'kms_key_quota_reached'
  | 'kms_key_disabled'
  | 'kms_key_pending_deletion'
  | 'kms_key_unavailable'
  | 'kms_key_unsuitable'
  | 'kms_alias_refused'
  | 'kms_public_key_mismatch'
  | 'kms_creation_unclear'
  | 'kms_request_rejected'

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
