import type { KeyType, SignatureAlgorithm } from './algorithms.ts'

/** What a call to a device may be given. */
export interface CallOptions {
  /** Gives up waiting. What the device has begun may still end there. */
  readonly signal?: AbortSignal | undefined
}

/** A private key that can sign, wherever it is kept. */
export interface SigningKey {
  readonly keyType: KeyType
  /** SubjectPublicKeyInfo, DER (RFC 5280 section 4.1.2.7). */
  readonly publicKey: Uint8Array
  /**
   * Signs the whole message; the key hashes it itself where the algorithm wants a hash.
   * @param algorithm default: the first that `KEY_TYPES` names for the key type
   * @returns the signature value as X.509 carries it: ECDSA as DER (RFC 3279 section 2.2.3)
   */
  sign(
    message: Uint8Array,
    algorithm?: SignatureAlgorithm,
    options?: CallOptions,
  ): Promise<Uint8Array>
}
