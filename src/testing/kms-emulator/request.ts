import type { IncomingMessage } from 'node:http'
import { KmsEmulatorError } from './errors.ts'

type Request = ReadonlyMap<string, unknown>

const MAX_BODY_BYTES = 1 << 20
const MAX_CLOCK_SKEW_MS = 5 * 60_000
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=[^/,\s]+\/(\d{8})\/([^/,\s]+)\/([^/,\s]+)\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=[0-9a-f]{64}$/

function invalid(message: string): KmsEmulatorError {
  return new KmsEmulatorError('ValidationException', message)
}

/** Refuses a request whose SigV4 signature is absent or malformed; it is not verified. */
export function checkAuthorization({ headers }: IncomingMessage, region: string): void {
  if (headers.authorization === undefined) {
    throw new KmsEmulatorError(
      'MissingAuthenticationTokenException',
      'Missing Authentication Token',
    )
  }
  const [, date, scopeRegion, service, signed] = AUTHORIZATION.exec(headers.authorization) ?? []
  const time = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(headers['x-amz-date']))
  if (date === undefined || time === null || signed?.split(';').includes('host') !== true) {
    throw new KmsEmulatorError(
      'IncompleteSignatureException',
      'Authorization header is not a well-formed AWS Signature Version 4',
    )
  }
  if (scopeRegion !== region || service !== 'kms') {
    throw new KmsEmulatorError(
      'InvalidSignatureException',
      `Credential should be scoped to a valid region and service: ${region}, kms`,
    )
  }
  const [year, month, day, hour, minute, second] = time.slice(1).map(Number)
  const signedAt = Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second)
  if (!(Math.abs(Date.now() - signedAt) <= MAX_CLOCK_SKEW_MS)) {
    throw new KmsEmulatorError('InvalidSignatureException', 'Signature expired')
  }
}

/** The body of a request: a JSON object, as a map that inherits nothing. */
export async function readBody(message: IncomingMessage): Promise<Request> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of message as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_BODY_BYTES) {
      throw new KmsEmulatorError('RequestEntityTooLargeException', 'The request is too large')
    }
    chunks.push(chunk)
  }
  let body: unknown
  try {
    body = JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    body = undefined
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new KmsEmulatorError('SerializationException', 'The body is not a JSON object')
  }
  return new Map(Object.entries(body))
}

/** A string member of a request. */
export function readText(request: Request, name: string, most = 4096): string | undefined {
  const value = request.get(name) ?? undefined
  if (value !== undefined && typeof value !== 'string') {
    throw new KmsEmulatorError('SerializationException', `${name} is not a string`)
  }
  if (value !== undefined && value.length > most) {
    throw invalid(`Value at '${name}' must have length less than or equal to ${most}`)
  }
  return value
}

/** A blob member of a request: standard base64. */
export function readBytes(request: Request, name: string): Buffer {
  const text = readText(request, name, MAX_BODY_BYTES) ?? ''
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) {
    throw new KmsEmulatorError('SerializationException', `${name} is not base64`)
  }
  return bytes
}

/** An integer member of a request that has a default and bounds. */
export function readBoundedInteger(
  request: Request,
  name: string,
  initial: number,
  least: number,
  most: number,
): number {
  const value = request.get(name) ?? initial
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) {
    throw invalid(`Value at '${name}' must be a whole number from ${least} to ${most}`)
  }
  return value
}

/** One page of a listing, and the members of the answer that lead to the next. */
export function readPage<Item>(
  request: Request,
  all: readonly Item[],
  limits: { readonly initial: number; readonly most: number; readonly pageSize: number },
): { items: Item[]; rest: { Truncated: boolean; NextMarker?: string } } {
  const { initial, most, pageSize } = limits
  const limit = Math.min(readBoundedInteger(request, 'Limit', initial, 1, most), pageSize)
  const marker = readText(request, 'Marker')
  const start = marker === undefined ? 0 : Number(/^after-(\d+)$/.exec(marker)?.[1] ?? Number.NaN)
  if (Number.isNaN(start)) {
    throw new KmsEmulatorError('InvalidMarkerException', 'Could not deserialize marker')
  }
  const end = start + limit
  const truncated = end < all.length
  return {
    items: all.slice(start, end),
    rest: { Truncated: truncated, ...(truncated && { NextMarker: `after-${end}` }) },
  }
}

/** Tags of a request, under the rules of KMS. */
export function readTags(request: Request): Map<string, string> {
  const list = request.get('Tags') ?? []
  if (!Array.isArray(list)) {
    throw new KmsEmulatorError('SerializationException', 'Tags is not a list')
  }
  const tags = new Map<string, string>()
  for (const entry of list as unknown[]) {
    const tag: Request = new Map(Object.entries(entry ?? {}))
    const name = readText(tag, 'TagKey', 128) ?? ''
    const value = readText(tag, 'TagValue', 256)
    if (!/^[\p{L}\p{Z}\p{N}_.:/=+\-@]+$/u.test(name) || value === undefined) {
      throw invalid(`Value at 'tags' must have a key and a value of letters, digits and _.:/=+-@`)
    }
    if (!/^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(value) || /^aws:/i.test(name) || tags.has(name)) {
      throw new KmsEmulatorError('TagException', `Tag ${name} is not valid, reserved or repeated`)
    }
    tags.set(name, value)
  }
  if (tags.size > 50) throw new KmsEmulatorError('TagException', 'More than 50 tags')
  return tags
}
