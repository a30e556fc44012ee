import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'

/** A failure of HTTP itself, which never becomes a request for the handler. */
export interface Refused {
  readonly status: 400 | 405 | 408 | 413 | 417 | 431 | 500
  readonly message: string
}

/**
 * What the parser of node:http may find, by the codes of its errors. The codes that clients see
 * follow the rule of src/http/error-table.ts for what has none of its own: 10000 + status.
 */
const BY_PARSER: ReadonlyMap<string, Refused> = new Map<string, Refused>([
  ['HPE_HEADER_OVERFLOW', { status: 431, message: 'The headers are too large' }],
  [
    'HPE_CHUNK_EXTENSIONS_OVERFLOW',
    { status: 413, message: 'The extensions of the chunks are too large' },
  ],
  ['ERR_HTTP_REQUEST_TIMEOUT', { status: 408, message: 'The request did not arrive in time' }],
])

/** What to answer where the parser gave up. */
export function refusalOf(error: Error): Refused {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return BY_PARSER.get(code) ?? { status: 400, message: 'This is not a well-formed HTTP request' }
}

/** A refusal in the API's envelope. */
export interface RefusalAnswer {
  readonly status: number
  /** Seen by clients in `errors`. */
  readonly code: number
  readonly requestId: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A refusal in the API's envelope, with the headers that all its answers have. */
export function refusalAnswer({ status, message }: Refused): RefusalAnswer {
  const code = status === 500 ? 1500 : 10_000 + status
  const requestId = randomUUID()
  const body = JSON.stringify({
    result: null,
    success: false,
    errors: [{ code, message }],
    messages: [],
  })
  const headers = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-request-id': requestId,
    ...(status !== 408 && status < 500 && { 'x-should-retry': 'false' }),
  }
  return { status, code, requestId, headers, body }
}

/** The same as bytes, for a connection that ends with it. */
export function rawRefusal({ status, headers, body }: RefusalAnswer): string {
  const lines = Object.entries({
    ...headers,
    connection: 'close',
    date: new Date().toUTCString(),
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`
}
