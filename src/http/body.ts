import { GENERAL, type WireCode } from './error-table.ts'
import { wireError } from './wire-error.ts'

/** How large a body may be, and how long it may take. */
export interface BodyLimits {
  readonly maxBodyBytes: number
  readonly bodyTimeoutMs: number
}

/**
 * Reads a body that must be a JSON object.
 * @param notJson what is said where it is none
 * @throws {WireError} also 408, 413 and 415
 */
export async function readJsonBody(
  request: Request,
  limits: BodyLimits,
  notJson: WireCode,
): Promise<Readonly<Record<string, unknown>>> {
  checkHeaders(request.headers, limits.maxBodyBytes)
  const bytes = await readBytes(request, limits, notJson)
  if (bytes.length === 0) throw wireError(notJson, 'The body is empty; send a JSON object')
  const value = parse(bytes, notJson)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw wireError(notJson, 'The body must be a JSON object', { pointer: '' })
  }
  return value as Readonly<Record<string, unknown>>
}

const JSON_TYPE = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-?8"?\s*)?;?\s*$/i

function checkHeaders(headers: Headers, maxBodyBytes: number): void {
  const encoding = headers.get('content-encoding') ?? ''
  if (!/^(?:identity)?$/i.test(encoding)) throw wireError(GENERAL.body_encoded)
  const type = headers.get('content-type') ?? ''
  if (type !== '' && !JSON_TYPE.test(type)) throw wireError(GENERAL.body_not_json_type)
  if (Number(headers.get('content-length') ?? 0) > maxBodyBytes) throw tooLarge(maxBodyBytes)
}

function tooLarge(maxBodyBytes: number): Error {
  return wireError(GENERAL.body_too_large, `The body has more than ${maxBodyBytes} bytes`)
}

function parse(bytes: Uint8Array, notJson: WireCode): unknown {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw wireError(notJson, 'The body is not UTF-8')
  }
  try {
    return JSON.parse(text)
  } catch {
    throw wireError(notJson, 'The body is not JSON')
  }
}

async function readBytes(
  request: Request,
  { maxBodyBytes, bodyTimeoutMs }: BodyLimits,
  notJson: WireCode,
): Promise<Uint8Array> {
  const { body } = request
  if (body === null) return new Uint8Array()
  const reader = takeReader(body)
  const deadline = startDeadline(bodyTimeoutMs)
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for (;;) {
      const next = await Promise.race([reader.read(), deadline.passed])
      if (next === 'passed') throw wireError(GENERAL.body_slow)
      if (next.done) return join(chunks, length)
      length += next.value.length
      if (length > maxBodyBytes) throw tooLarge(maxBodyBytes)
      chunks.push(next.value)
    }
  } catch (error) {
    if (request.signal.aborted) throw wireError(GENERAL.client_gone)
    if (error instanceof Error && error.name === 'WireError') throw error
    throw wireError(notJson, 'The body broke off')
  } finally {
    deadline.stop()
    // What is left unread is the server's to drain or to cut off, with the connection.
    reader.releaseLock()
  }
}

/** @throws {TypeError} where somebody has read the body before the handler got the request */
function takeReader(body: ReadableStream<Uint8Array>): ReadableStreamDefaultReader<Uint8Array> {
  if (body.locked) throw new TypeError('the body of the request was read before the handler got it')
  return body.getReader()
}

function startDeadline(timeoutMs: number): { passed: Promise<'passed'>; stop: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined
  const passed = new Promise<'passed'>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, 'passed')
  })
  return {
    passed,
    stop: () => {
      clearTimeout(timer)
    },
  }
}

function join(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}
