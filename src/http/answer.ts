import type { Scope } from '../store/store.ts'
import type { WireCode } from './error-table.ts'
import type { WireError, WireMessage } from './wire-error.ts'

/** What is answered, before it becomes a `Response`. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly content: string | Uint8Array<ArrayBuffer> | null
  /** The code of the first error, for the log. */
  readonly code?: number
}

/** What is known of a request that has been answered; for logs and measurements. */
export interface AnswerInfo {
  readonly requestId: string
  readonly method: string
  /** The path as the OpenAPI document has it; absent where there is nothing at the path. */
  readonly route: string | undefined
  /** As it was asked for, without the query. */
  readonly path: string
  readonly status: number
  /** The first of `errors`. */
  readonly code: number | undefined
  readonly durationMs: number
  /** Who asked, once that was known. */
  readonly actor: string | undefined
  readonly scope: Scope | undefined
}

/** The envelope around every result. */
export interface Envelope {
  readonly result: unknown
  readonly messages?: readonly WireMessage[]
  readonly [more: string]: unknown
}

/** An answer to a request that succeeded. */
export function answerJson(
  status: number,
  { result, messages = [], ...more }: Envelope,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  const body = { result, success: true, errors: [], messages, ...more }
  return {
    status,
    headers: { ...headers, 'content-type': 'application/json' },
    content: toText(body),
  }
}

/** With a line end, for those who look at it in a terminal. */
function toText(body: object): string {
  return `${JSON.stringify(body)}\n`
}

/** The answer to a request that failed. */
export function answerError(
  { kind, errors }: WireError,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return {
    status: kind.status,
    headers: { ...headers, ...headersOf(kind), 'content-type': 'application/json' },
    content: toText({ result: null, success: false, errors, messages: [] }),
    code: errors[0]?.code ?? kind.code,
  }
}

function headersOf({ status, passing }: WireCode): Record<string, string> {
  if (status === 401) return { 'www-authenticate': 'Bearer', 'x-should-retry': 'false' }
  if (passing === true) return status === 409 ? { 'retry-after': '1' } : {}
  // Clients repeat 409 of their own accord. After a 5xx a repetition is worth trying.
  return status < 500 ? { 'x-should-retry': 'false' } : {}
}

/** An answer without a body. */
export function answerNothing(headers: Readonly<Record<string, string>>): Answer {
  return { status: 204, headers, content: null }
}

/** The answer as it is sent. */
export function toResponse({ status, headers, content }: Answer, requestId: string): Response {
  return new Response(content, {
    status,
    headers: {
      ...headers,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-request-id': requestId,
    },
  })
}
