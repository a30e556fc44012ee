import type { KeyType } from '../csr/algorithms.ts'
import type { CallOptions } from '../csr/signing-key.ts'
import type { Attestation } from '../key/attestation.ts'
import type { CsrFilter, CustomCsrSubject, EventRow, KeyState, Scope } from '../store/store.ts'

/** What a custom CSR is to ask for. */
export interface CustomCsrInput extends CustomCsrSubject {
  /** DNS names, at least one; `*` as the whole left label only; A-labels for what is not ASCII. */
  readonly sans: readonly string[]
  /** Default: `rsa2048`. */
  readonly keyType?: KeyType | undefined
  /** For people and lists: up to 255 characters. */
  readonly name?: string | undefined
  /** The same: up to 1,024 characters. */
  readonly description?: string | undefined
}

/** A custom CSR, as it is remembered. */
export interface CustomCsr extends CustomCsrSubject {
  /** UUID. */
  readonly id: string
  readonly scope: Scope
  readonly accountTag: string | undefined
  readonly name: string | undefined
  readonly description: string | undefined
  readonly sans: readonly string[]
  readonly keyType: KeyType
  /** The request, PEM (RFC 7468 section 7). */
  readonly csr: string
  readonly createdAt: Date
  readonly key: {
    /** Names the key in its backend for ever. */
    readonly uri: string
    readonly state: KeyState
    /** What the device said of the key when it was made. */
    readonly attestation: Attestation
  }
}

/** Codes of {@link Warning}; stable, like those of errors. */
export type WarningCode =
  /** The common name is not among the SANs: CAs refuse that, or drop it. */
  | 'common_name_not_in_sans'
  /** The common name was added to the SANs, as the service was told to do. */
  | 'common_name_added'
  /** The device destroys the key only at the date in the message. */
  | 'key_destruction_scheduled'
  /** The device did not answer; the key is destroyed as soon as it does. */
  | 'key_destruction_pending'

/** Something worth knowing that did not keep the work from being done. */
export interface Warning {
  readonly code: WarningCode
  readonly message: string
  /** RFC 6901 pointer into the input, where it is about one field: `/commonName`. */
  readonly pointer?: string
}

/** For whom, and how, something is done. */
export interface RequestContext extends CallOptions {
  /** Who asks, for the events: an e-mail address, a user's id. Default: `library`. */
  readonly actor?: string | undefined
}

export interface CreateOptions extends RequestContext {
  /** 1 to 255 printable ASCII characters: the same key gives the same CSR, for 24 hours. */
  readonly idempotencyKey?: string | undefined
  /** The account that owns the zone, to be shown and sorted by. */
  readonly accountTag?: string | undefined
}

/** What {@link CustomCsrService.create} answers. */
export interface CreatedCustomCsr {
  readonly customCsr: CustomCsr
  readonly warnings: readonly Warning[]
  /** Whether an earlier call with the same idempotency key made it. */
  readonly replayed: boolean
}

export interface ListOptions extends CallOptions {
  /** From 1; default 1. Past the end a page is empty. */
  readonly page?: number | undefined
  /** 5 to 50; default 20. */
  readonly perPage?: number | undefined
  /** Default `created_at`. `account_tag` is one value within a scope, so it sorts as `created_at`. */
  readonly order?: 'name' | 'account_tag' | 'created_at' | undefined
  /** Default `asc`: pages stay as they are while CSRs are created. */
  readonly direction?: 'asc' | 'desc' | undefined
  readonly filter?: CsrFilter | undefined
}

/** One page of a list. */
export interface CustomCsrList {
  readonly items: readonly CustomCsr[]
  readonly page: number
  readonly perPage: number
  readonly totalCount: number
  readonly totalPages: number
}

/** What {@link CustomCsrService.delete} answers. */
export interface DeletedCustomCsr {
  readonly warnings: readonly Warning[]
}

export interface EventsOptions extends CallOptions {
  /** Only those after this `sequence`. */
  readonly after?: number | undefined
  /** 1 to 1,000; default 100. */
  readonly limit?: number | undefined
}

/** One thing that happened. */
export type CustomCsrEvent = EventRow

/** What the service does, as `http` and the command use it. */
export interface CustomCsrs {
  /**
   * @throws {KeystayError} `quota_exceeded`, `idempotency_key_invalid`, `idempotency_key_reused`,
   *   `idempotency_key_busy`, `idempotent_csr_deleted`, and all that is wrong with the
   *   input (pointers into it: `/commonName`, `/sans/0`), and what backend and store throw
   */
  create(scope: Scope, input: CustomCsrInput, options?: CreateOptions): Promise<CreatedCustomCsr>
  /** @throws {KeystayError} `custom_csr_not_found`, `custom_csr_id_invalid` */
  get(scope: Scope, id: string, options?: CallOptions): Promise<CustomCsr>
  /** @throws {KeystayError} `list_option_invalid` (pointer: `/page`, `/perPage`, …) */
  list(scope: Scope, options?: ListOptions): Promise<CustomCsrList>
  /** @throws {KeystayError} `custom_csr_not_found`, `custom_csr_id_invalid`, `custom_csr_in_use` */
  delete(scope: Scope, id: string, options?: RequestContext): Promise<DeletedCustomCsr>
  /**
   * What happened in a scope, or to one CSR, also after it was deleted; the oldest first.
   * @throws {KeystayError} `custom_csr_not_found` where nothing is known of `csrId`
   */
  events(scope: Scope, csrId?: string, options?: EventsOptions): Promise<readonly CustomCsrEvent[]>
  /** Whether the store answers, and the backend signs. @throws {KeystayError} what is wrong */
  checkReady(options?: CallOptions): Promise<void>
}
