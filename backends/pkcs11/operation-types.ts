import type { Handle, Mechanism, TemplateAttribute } from './driver.ts'

/** A token in a slot. */
export interface TokenInfo {
  readonly slot: Handle
  readonly slotId: number
  readonly label: string
  readonly manufacturer: string
  readonly model: string
  readonly serial: string
  readonly flags: number
  /** Sessions that may be open at once; `undefined` where there is no limit, or none is told. */
  readonly maxSessions: number | undefined
  /** Sessions that this process has open, where the token tells. */
  readonly sessions: number | undefined
}

/** A mechanism that a token offers. */
export interface MechanismInfo {
  readonly mechanism: number
  readonly minKeySize: number
  readonly maxKeySize: number
}

/** What of a key can be read, private and public half together. Absent where neither told. */
export interface KeyAttributes {
  readonly id?: Uint8Array
  readonly label?: string
  /** CKK_… */
  readonly keyType?: number
  readonly ecParams?: Uint8Array
  readonly ecPoint?: Uint8Array
  readonly modulus?: Uint8Array
  readonly publicExponent?: Uint8Array
  readonly publicKeyInfo?: Uint8Array
}

/** What a token says of how a key is kept; `null` where it does not answer. */
export interface KeyClaims {
  readonly CKA_SENSITIVE: boolean | null
  readonly CKA_EXTRACTABLE: boolean | null
  readonly CKA_ALWAYS_SENSITIVE: boolean | null
  readonly CKA_NEVER_EXTRACTABLE: boolean | null
  readonly CKA_LOCAL: boolean | null
  readonly CKA_KEY_GEN_MECHANISM: number | null
}

/** How to find a key: by CKA_ID or, where there is none, by label. */
export type KeyQuery = { readonly id: Uint8Array } | { readonly label: string }

/** One signature to make. */
export interface SignJob {
  readonly key: Handle
  readonly mechanism: Mechanism
  readonly input: Uint8Array
  /** Room to leave for the signature. */
  readonly outputBytes: number
}

/** What became of a {@link SignJob}; `skipped` where an earlier one spoilt the session. */
export type SignOutcome =
  { readonly signature: Uint8Array } | { readonly ckr: number } | { readonly skipped: true }

/** The templates of a key pair. */
export interface KeyPairRequest {
  readonly mechanism: Mechanism
  readonly publicTemplate: readonly TemplateAttribute[]
  readonly privateTemplate: readonly TemplateAttribute[]
}
