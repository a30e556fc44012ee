import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inject } from 'vitest'
import { openBackend } from '../../backends/index.ts'
import {
  createHandler,
  createOpenApiDocument,
  grantAccess,
  type Authorize,
  type Grant,
  type Handler,
  type HandlerOptions,
  type OpenApiDocument,
  type RefusalReason,
} from '../../src/http/index.ts'
import {
  CustomCsrService,
  type CustomCsrs,
  type CustomCsrServiceOptions,
} from '../../src/lifecycle/index.ts'
import { openStore, type Store } from '../../src/store/index.ts'
import { createDatabase } from '../support/postgres.ts'
import { checkAnswer } from './check-answer.ts'

/** What the HTTP tests run on. */
export const ENGINES = ['sqlite', 'postgres'] as const
export type Engine = (typeof ENGINES)[number]

export async function openEngine(engine: Engine): Promise<Store> {
  if (engine === 'sqlite') return openStore('sqlite::memory:')
  return openStore(await createDatabase(inject('postgres')))
}

export const DOCUMENT: OpenApiDocument = createOpenApiDocument()

/** Somebody with a secret, in both styles of headers. */
export interface Client {
  readonly secret: string
  readonly email: string
  readonly bearer: Readonly<Record<string, string>>
  readonly keyPair: Readonly<Record<string, string>>
}

/** Credentials, made up now. */
export interface Clients {
  readonly authorize: Authorize
  add(grant: Omit<Grant, 'actor'>): Client
  /** A token that is refused for this reason. */
  refuse(reason: RefusalReason): Client
}

export function createClients(): Clients {
  const known = new Map<string, Grant | RefusalReason>()
  const newClient = (): Client => {
    const secret = randomBytes(24).toString('base64url')
    const email = `${randomUUID()}@example.net`
    return {
      secret,
      email,
      bearer: { authorization: `Bearer ${secret}` },
      keyPair: { 'x-auth-email': email, 'x-auth-key': secret },
    }
  }
  return {
    authorize: ({ headers }) => {
      const secret =
        headers.get('authorization')?.replace(/^Bearer /, '') ?? headers.get('x-auth-key') ?? ''
      const found = known.get(secret)
      return typeof found === 'string' ? { refused: found } : found && grantAccess(found)
    },
    add(grant) {
      const client = newClient()
      known.set(client.secret, { ...grant, actor: client.email })
      return client
    },
    refuse(reason) {
      const client = newClient()
      known.set(client.secret, reason)
      return client
    },
  }
}

export interface SendOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as it is if it is text or bytes, else as JSON. */
  readonly body?: unknown
  readonly signal?: AbortSignal
}

/** What a test reads of an answer. */
export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Uint8Array
  readonly text: string
  /** The envelope; empty where the answer is none. */
  readonly json: {
    readonly result?: unknown
    readonly success?: boolean
    readonly message?: string
    readonly errors?: readonly WireEntry[]
    readonly messages?: readonly WireEntry[]
    readonly result_info?: Readonly<Record<string, number>>
  }
}

export interface WireEntry {
  readonly code: number
  readonly message: string
  readonly source?: Readonly<Record<string, string>>
}

/** Sends requests to a handler; every answer is checked against the document. */
export type Send = (method: string, path: string, options?: SendOptions) => Promise<Answered>

export function createSend(handler: Handler): Send {
  return async (method, path, { headers = {}, body, signal } = {}) => {
    const raw = body === undefined || typeof body === 'string' || body instanceof Uint8Array
    const content = raw ? body : JSON.stringify(body)
    const request = new Request(`http://keystay.example/client/v4${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(content !== undefined && { body: content as BodyInit }),
      ...(signal !== undefined && { signal }),
    })
    const response = await handler(request)
    await checkAnswer(DOCUMENT, method, path.split('?')[0] ?? '', response)
    const bytes = await response.bytes()
    const text = new TextDecoder().decode(bytes)
    const isJson = response.headers.get('content-type') === 'application/json' && text !== ''
    const json = isJson ? (JSON.parse(text) as Answered['json']) : {}
    return { status: response.status, headers: response.headers, bytes, text, json }
  }
}

/** A service behind a handler, with everything real. */
export interface World extends AsyncDisposable {
  readonly store: Store
  readonly service: CustomCsrService
  readonly clients: Clients
  readonly handler: Handler
  readonly send: Send
  /** What reached `onError`. */
  readonly failures: unknown[]
}

export interface WorldOptions extends Partial<HandlerOptions> {
  readonly service?: Partial<CustomCsrServiceOptions>
  /** Stands in for some of the service's methods. */
  readonly instead?: Partial<CustomCsrs>
}

export async function openWorld(
  engine: Engine,
  { service: serviceOptions, instead = {}, ...options }: WorldOptions = {},
): Promise<World> {
  const store = await openEngine(engine)
  const keyring = engine === 'postgres' ? makeKeyring() : undefined
  const backend = await openBackend(keyring?.uri ?? 'webcrypto:')
  const service = new CustomCsrService({ backend, store, ...serviceOptions })
  const clients = createClients()
  const failures: unknown[] = []
  const handler = createHandler(substitute(service, instead), {
    authorize: clients.authorize,
    onError: (error) => failures.push(error),
    ...options,
  })
  return {
    ...{ store, service, clients, handler, failures, send: createSend(handler) },
    [Symbol.asyncDispose]: async () => {
      await service.close()
      await store.close()
      await backend.close()
      keyring?.remove()
    },
  }
}

/** A store that outlives the process must not have keys that do not. */
function makeKeyring(): { readonly uri: string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'keystay-http-'))
  const secret = join(directory, 'secret')
  writeFileSync(secret, randomBytes(32).toString('base64'), { mode: 0o600 })
  return {
    uri: `webcrypto:${join(directory, 'keyring')}?secret-source=file:${secret}`,
    remove: () => {
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function substitute(service: CustomCsrs, instead: Partial<CustomCsrs>): CustomCsrs {
  return {
    create: (...args) => (instead.create ?? service.create.bind(service))(...args),
    get: (...args) => (instead.get ?? service.get.bind(service))(...args),
    list: (...args) => (instead.list ?? service.list.bind(service))(...args),
    delete: (...args) => (instead.delete ?? service.delete.bind(service))(...args),
    events: (...args) => (instead.events ?? service.events.bind(service))(...args),
    checkReady: (...args) => service.checkReady(...args),
  }
}
