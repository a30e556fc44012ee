/**
 * How far the statement that a key cannot leave its device can be trusted:
 * - `software`: the key is in this process or in a file; nothing but access rights protects it.
 * - `claimed-by-token`: the device or service says so of itself; nobody vouches for it.
 * - `vendor-attested`: `evidence` is signed by the device's maker and can be checked.
 */
export type AttestationLevel = 'software' | 'claimed-by-token' | 'vendor-attested'

/** What a backend could learn about how a key is kept. Safe to store, log and show. */
export interface Attestation {
  readonly level: AttestationLevel
  /** Scheme of the backend that says so, for instance `pkcs11`. */
  readonly backend: string
  /**
   * What the device answered, by its own names (`CKA_NEVER_EXTRACTABLE`, `Origin`, …); `null` where
   * it did not answer, which is not the same as `false`.
   */
  readonly claims: Readonly<Record<string, string | number | boolean | null>>
  /** Contradictions and gaps in the claims, for a person: empty when all is as it should be. */
  readonly concerns: readonly string[]
  /** The maker's signed statement. */
  readonly evidence?: { readonly format: string; readonly data: Uint8Array }
  /** When the device was asked. */
  readonly observedAt: Date
}
