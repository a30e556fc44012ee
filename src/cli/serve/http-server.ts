import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { RequestError, getRequestListener } from '@hono/node-server'
import { KeystayError } from '../../errors.ts'
import { isSystemError } from '../files.ts'
import { MAX_HEADERS, checkRequest } from './check-request.ts'
import { trackConnections, type Connections } from './connections.ts'
import {
  rawRefusal,
  refusalAnswer,
  refusalOf,
  type RefusalAnswer,
  type Refused,
} from './refusals.ts'
import { stopServer, type StopOptions } from './stop-server.ts'

/** What clients may take of a server, so that slow and endless ones cannot hold it. */
export interface ServerLimits {
  readonly maxConnections: number
  readonly maxBodyBytes: number
  /** Of headers, from their first byte. */
  readonly headersTimeoutMs: number
  /** Of a whole request. Longer than the handler allows for a body: this one only backs it up. */
  readonly requestTimeoutMs: number
  /** Between requests. Longer than proxies keep theirs, which must be the first to hang up. */
  readonly keepAliveTimeoutMs: number
  /** For a connection on which nothing moves although there is something to send. */
  readonly stallTimeoutMs: number
  /** How often headers and requests are looked at for their time. */
  readonly checkIntervalMs: number
  /** How long what a refused client goes on sending is read, lest it miss why. */
  readonly lingerMs: number
}

export const DEFAULT_LIMITS: ServerLimits = {
  maxConnections: 1024,
  maxBodyBytes: 131_072,
  headersTimeoutMs: 15_000,
  requestTimeoutMs: 60_000,
  keepAliveTimeoutMs: 65_000,
  stallTimeoutMs: 120_000,
  checkIntervalMs: 2_000,
  lingerMs: 1_000,
}

const MAX_HEADER_BYTES = 16_384
const MAX_REQUESTS_PER_CONNECTION = 10_000

/** What a server is made of. */
export interface HttpServerOptions {
  readonly handler: (request: Request) => Promise<Response>
  readonly limits?: Partial<ServerLimits> | undefined
  /** Hears of requests that were refused before they reached the handler. */
  readonly onRefused?: ((answer: RefusalAnswer) => void) | undefined
  /** Hears of what the handler should not have thrown. */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** A server that listens. */
export interface RunningServer {
  readonly host: string
  /** The one chosen, where any was asked for. */
  readonly port: number
  /** Ends it without losing an answer. Rejects with `operation_timeout` where that takes too long. */
  stop(options: StopOptions): Promise<void>
}

/**
 * Serves a handler over plain HTTP/1.1. Whatever a client sends, it is answered in the envelope of
 * the API.
 * @throws {KeystayError} `address_unavailable`
 */
export async function startHttpServer(
  address: { readonly host: string; readonly port: number },
  options: HttpServerOptions,
): Promise<RunningServer> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const server = createServer({
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: limits.checkIntervalMs,
    maxHeaderSize: MAX_HEADER_BYTES,
    // It would be refused by a bare 400; we say it in the envelope.
    requireHostHeader: false,
    noDelay: true,
  })
  server.maxConnections = limits.maxConnections
  server.maxHeadersCount = MAX_HEADERS + 1
  server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION
  const connections = trackConnections(server)
  answerRequests(server, connections, limits, options)
  refuseWhatIsNoRequest(server, connections, limits, options)
  endStalled(server, connections, limits)
  const { host, port } = await listen(server, address)
  return { host, port, stop: (how) => stopServer(server, connections, how) }
}

async function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<{ host: string; port: number }> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port }, () => {
        server.off('error', reject)
        resolve()
      })
    })
  } catch (error) {
    throw addressError(host, port, error)
  }
  const { address, port: chosen } = server.address() as AddressInfo
  return { host: address, port: chosen }
}

const ADDRESS_FAILURES: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'another program listens there; stop it, or choose another --port'],
  ['EACCES', 'ports below 1024 are for the administrator; choose another --port'],
  ['EADDRNOTAVAIL', 'this machine has no such address; choose another --host'],
  ['ENOTFOUND', 'there is no host of this name; choose another --host'],
])

function addressError(host: string, port: number, error: unknown): KeystayError {
  const code = isSystemError(error) ? String(error.code) : 'unknown error'
  return new KeystayError(
    'address_unavailable',
    `cannot listen at ${host} port ${port}: ${ADDRESS_FAILURES.get(code) ?? code}`,
    { cause: error },
  )
}

/** Hands requests to the handler, but for those that break rules of HTTP itself. */
function answerRequests(
  server: Server,
  connections: Connections,
  limits: ServerLimits,
  { handler, onRefused, onError }: HttpServerOptions,
): void {
  const refuse = (request: IncomingMessage, response: ServerResponse, refused: Refused): void => {
    const answer = refusalAnswer(refused)
    response.writeHead(answer.status, answer.headers).end(answer.body)
    onRefused?.(answer)
    letSendOn(request, limits.lingerMs)
  }
  const listener = getRequestListener((request) => handler(request), {
    // What HTTP/1.0 may leave out.
    hostname: 'localhost',
    // The globals of this process stay what they are.
    overrideGlobalObjects: false,
    errorHandler: (error) => {
      const answer = refusalAnswer(refusalOfThrown(error))
      if (answer.status === 500) onError?.(error)
      else onRefused?.(answer)
      return new Response(answer.body, { status: answer.status, headers: answer.headers })
    },
  })
  const answer = (request: IncomingMessage, response: ServerResponse, asksFirst = false): void => {
    const refused = checkRequest(request)
    if (refused !== undefined) {
      refuse(request, response, refused)
      return
    }
    // A body that is too large anyway need not be sent.
    const length = Number(request.headers['content-length'] ?? 0)
    if (asksFirst && length <= limits.maxBodyBytes) response.writeContinue()
    listener(request, response).catch((error: unknown) => onError?.(error))
  }
  server.on('request', (request, response) => {
    connections.begin(request, response, () => {
      answer(request, response)
    })
  })
  server.on('checkContinue', (request, response) => {
    connections.begin(request, response, () => {
      answer(request, response, true)
    })
  })
  server.on('checkExpectation', (request, response) => {
    connections.begin(request, response, () => {
      refuse(request, response, {
        status: 417,
        message: 'The only expectation known here is 100-continue',
      })
    })
  })
}

/** The URL cannot be made from target and Host; or the handler threw, which it is never to do. */
function refusalOfThrown(error: unknown): Refused {
  return error instanceof RequestError
    ? { status: 400, message: 'The request target or the Host header is not valid' }
    : { status: 500, message: 'Internal server error' }
}

/**
 * Reads for a while what a refused client still sends. Closing at once would reset the connection,
 * and with that take away the answer it has not read yet.
 */
function letSendOn(request: IncomingMessage, lingerMs: number): void {
  if (request.complete) return
  request.resume()
  const timer = setTimeout(() => {
    if (!request.complete) request.socket.destroySoon()
  }, lingerMs)
  request.once('close', () => {
    clearTimeout(timer)
  })
}

/** Answers what the parser gives up on, and CONNECT, for which node:http has no answer at all. */
function refuseWhatIsNoRequest(
  server: Server,
  connections: Connections,
  { lingerMs }: ServerLimits,
  { onRefused }: HttpServerOptions,
): void {
  const refused = new WeakSet<Duplex>()
  const refuse = (socket: Duplex, why: Refused): void => {
    if (refused.has(socket) || !socket.writable) return
    refused.add(socket)
    const answer = refusalAnswer(why)
    socket.end(rawRefusal(answer))
    // Not at once, for the reason that letSendOn gives.
    socket.resume()
    setTimeout(() => socket.destroy(), lingerMs).unref()
    onRefused?.(answer)
  }
  server.on('connect', (_request, socket: Duplex) => {
    refuse(socket, { status: 405, message: 'CONNECT is not for this server' })
  })
  server.on('clientError', (error, socket) => {
    if (!socket.writable || isSystemError(error, 'ECONNRESET')) {
      socket.destroy()
      return
    }
    const pending = connections.answersOn(socket)
    const [first] = pending
    const broken = first?.req.complete === false ? first : undefined
    // Answers have an order: what is wrong is said after those that are still to come.
    if (first === undefined || (pending.length === 1 && broken?.headersSent === false)) {
      refuse(socket, refusalOf(error))
      return
    }
    const last = pending.at(-1) ?? first
    last.once('close', () => {
      if (last.req.complete) refuse(socket, refusalOf(error))
      else socket.end(() => socket.destroy())
    })
  })
}

/** A client that does not read what it asked for must not keep it in our memory. */
function endStalled(
  server: Server,
  connections: Connections,
  { stallTimeoutMs }: ServerLimits,
): void {
  server.setTimeout(stallTimeoutMs, (socket) => {
    // Where nothing is to be sent yet, it is we who are slow.
    if (socket.writableLength > 0 || connections.answersOn(socket).length === 0) socket.destroy()
  })
}
