import type { IncomingMessage } from 'node:http'
import type { Refused } from './refusals.ts'

/** More header lines than any client sends. Node silently drops those beyond its own limit. */
export const MAX_HEADERS = 100

function bad(message: string): Refused {
  return { status: 400, message }
}

/**
 * What of HTTP's own rules the parser of node:http lets pass, and what would become a wrong URL.
 * @returns what is wrong
 */
export function checkRequest(request: IncomingMessage): Refused | undefined {
  const { rawHeaders, url = '', httpVersion } = request
  if (rawHeaders.length > MAX_HEADERS * 2) {
    return { status: 431, message: `There are more than ${MAX_HEADERS} headers` }
  }
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return bad('This server speaks HTTP/1.1')
  // RFC 9112 section 3.2: no Host, or two, must be refused; who is asked would be anybody's guess.
  const hosts = valuesOf(rawHeaders, 'host')
  if (hosts.length > 1) return bad('There is more than one Host header')
  if (hosts.length === 0 && httpVersion !== '1.0') return bad('There is no Host header')
  if (!/^(?:\/|https?:\/\/)/i.test(url)) {
    return bad('The request target must be a path, or an absolute http URL')
  }
  return checkTransferEncoding(valuesOf(rawHeaders, 'transfer-encoding'), httpVersion)
}

/** RFC 9112 section 6.1: the parser takes off `chunked`, and nothing else would be taken off. */
function checkTransferEncoding(
  encodings: readonly string[],
  httpVersion: string,
): Refused | undefined {
  if (encodings.length === 0) return undefined
  if (httpVersion === '1.0') return bad('HTTP/1.0 has no Transfer-Encoding')
  if (encodings.length === 1 && /^\s*chunked\s*$/i.test(encodings[0] ?? '')) return undefined
  return bad('The only Transfer-Encoding known here is chunked')
}

function valuesOf(rawHeaders: readonly string[], name: string): readonly string[] {
  return rawHeaders.filter(
    (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name,
  )
}
