import { KeystayError } from '../errors.ts'
import {
  GENERAL,
  INPUT_FAILURES,
  REWORDED,
  type ResourceCodes,
  type WireCode,
} from './error-table.ts'

/** What of the request an error or a message is about. */
export interface WireSource {
  /** RFC 6901 pointer into the body. */
  readonly pointer?: string
  /** A query parameter. */
  readonly parameter?: string
  readonly header?: string
}

/** One entry of `errors` or `messages`. */
export interface WireMessage {
  readonly code: number
  readonly message: string
  readonly source?: WireSource
}

/**
 * Leaves the handling of a request from any depth. A class although it owns no resource: what is
 * thrown has to be an Error, and this one never leaves the handler.
 */
export class WireError extends Error {
  override readonly name = 'WireError'
  /** Says status and headers. */
  readonly kind: WireCode
  readonly errors: readonly WireMessage[]

  constructor(kind: WireCode, errors: readonly WireMessage[], cause?: unknown) {
    super(kind.meaning, { cause })
    this.kind = kind
    this.errors = errors
  }
}

/** A failure with one error. */
export function wireError(
  kind: WireCode,
  message: string = kind.meaning,
  source?: WireSource,
): WireError {
  return new WireError(kind, [entry(kind, message, source)])
}

/** An entry of `errors`. */
export function entry(kind: WireCode, message: string, source?: WireSource): WireMessage {
  return { code: kind.code, message, ...(source !== undefined && { source }) }
}

/** What is answered to anything thrown; what is nobody's business becomes a bare 500. */
export function toWireError(thrown: unknown, codes: ResourceCodes): WireError {
  if (thrown instanceof WireError) return thrown
  if (thrown instanceof KeystayError) {
    const pointer = toWirePointer(thrown.pointer)
    const kind = findKind(thrown, pointer, codes)
    if (kind !== undefined) return describe(thrown, kind, pointer)
  }
  return new WireError(
    GENERAL.internal,
    [entry(GENERAL.internal, GENERAL.internal.meaning)],
    thrown,
  )
}

/** The pointers of the library say `/commonName` where those of the wire say `/common_name`. */
export function toWirePointer(pointer: string | undefined): string | undefined {
  return pointer?.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function findKind(
  { code }: KeystayError,
  pointer: string | undefined,
  codes: ResourceCodes,
): WireCode | undefined {
  const known = codes.codes[code]
  if (known !== undefined) return known
  if (!INPUT_FAILURES.has(code)) return undefined
  const [, field = '', item] = pointer?.split('/') ?? []
  const own = Object.hasOwn(codes.fields, field) ? codes.fields[field] : undefined
  if (own === undefined) return codes.body
  if (item !== undefined) return own.item ?? own.any
  return code === 'text_too_long' ? (own.long ?? own.any) : own.any
}

function describe(error: KeystayError, kind: WireCode, pointer: string | undefined): WireError {
  const { code } = error
  if (code.startsWith('idempotency_key_')) {
    return wireError(kind, error.message, { header: 'idempotency-key' })
  }
  if (code === 'list_option_invalid') {
    const parameter = pointer?.slice(1) ?? ''
    return wireError(kind, inWireTerms(error, pointer), { parameter })
  }
  if (code.startsWith('key_type_')) {
    return wireError(kind, kind.fixed === true ? kind.meaning : error.message, {
      pointer: '/key_type',
    })
  }
  const reworded = REWORDED[code]
  const message =
    reworded === undefined ? inWireTerms(error, pointer) : `${pointer ?? 'A name'} ${reworded}`
  // A pointer that is not into the body is about the library's arguments.
  const source = kind.status === 400 && kind.code !== 1401 && pointer ? { pointer } : undefined
  return wireError(kind, kind.fixed === true ? kind.meaning : message, source)
}

function inWireTerms({ message, pointer }: KeystayError, wirePointer = ''): string {
  return pointer === undefined || pointer === ''
    ? message
    : message.replaceAll(pointer, wirePointer)
}
