/** HTTP status of every error that the emulator answers, by its AWS name. */
const STATUS = {
  AccessDeniedException: 400,
  AlreadyExistsException: 400,
  DependencyTimeoutException: 503,
  DisabledException: 400,
  ExpiredTokenException: 400,
  IncompleteSignatureException: 400,
  InvalidAliasNameException: 400,
  InvalidArnException: 400,
  InvalidKeyUsageException: 400,
  InvalidMarkerException: 400,
  InvalidSignatureException: 400,
  KMSInternalException: 500,
  KMSInvalidStateException: 400,
  KeyUnavailableException: 500,
  LimitExceededException: 400,
  MissingAuthenticationTokenException: 400,
  NotFoundException: 400,
  RequestEntityTooLargeException: 413,
  SerializationException: 400,
  TagException: 400,
  ThrottlingException: 400,
  UnknownOperationException: 400,
  UnrecognizedClientException: 400,
  UnsupportedOperationException: 400,
  ValidationException: 400,
} as const

/** The AWS name of an error that the emulator can answer. */
export type KmsErrorName = keyof typeof STATUS

/** An error as it goes over the wire: `{ "__type": name, "message": … }`. */
export class KmsEmulatorError extends Error {
  override readonly name: KmsErrorName
  readonly status: number

  constructor(name: KmsErrorName, message: string) {
    super(message)
    this.name = name
    this.status = STATUS[name]
  }
}
