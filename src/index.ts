export { KeystayError, type ErrorCode, type KeystayErrorOptions } from './errors.ts'

export { CsrBuilder, type Csr, type SignOptions } from './csr/csr-builder.ts'
export type { CsrRequest } from './csr/request/request.ts'
export type {
  OtherSubjectAttribute,
  Subject,
  SubjectAttribute,
  SubjectFields,
} from './csr/request/subject.ts'
export type { SubjectField } from './csr/request/attribute-types.ts'
export type { StringType } from './csr/checks.ts'
export type { ConvertedName, SubjectAltName } from './csr/request/subject-alt-names.ts'
export type {
  BasicConstraints,
  ExtKeyUsage,
  KeyUsage,
  RawExtension,
  RequestedExtensions,
  TlsFeature,
} from './csr/request/extensions.ts'

export { parseCsr, type ParsedCsr, type ParsedSignature } from './csr/parse-csr.ts'
export type { CsrContent, ParsedPublicKey, ParsedRequestAttribute } from './csr/read/read-csr.ts'
export type { DecodedExtensions, ParsedExtension } from './csr/read/read-extensions.ts'
export type { ParsedAltName } from './csr/read/read-general-names.ts'
export type { ParsedAttribute, ParsedName } from './csr/read/read-name.ts'
export type { Oddity } from './csr/read/read-text.ts'
export type { PublicKeyInfo } from './csr/public-key.ts'

export {
  KEY_TYPES,
  SIGNATURE_ALGORITHMS,
  type HashName,
  type KeyFamily,
  type KeyType,
  type KeyTypeFacts,
  type SignatureAlgorithm,
  type SignatureAlgorithmFacts,
} from './csr/algorithms.ts'
export { encodeEcdsaSignature } from './csr/signature-value.ts'
export { verifySignature } from './csr/verify-signature.ts'

export type { CallOptions, SigningKey } from './csr/signing-key.ts'
export type { Attestation, AttestationLevel } from './key/attestation.ts'
export {
  isDiagnosable,
  type BackendCapabilities,
  type BackendKey,
  type DiagnosableBackend,
  type DiagnosisStep,
  type GenerateKeyOptions,
  type GetKeyOptions,
  type KeyBackend,
  type KeyDestruction,
  type KeyListing,
  type ListKeysOptions,
} from './key/backend.ts'
