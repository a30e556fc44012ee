import { Hono, type Context } from 'hono'
import { checkCsrId, checkScope } from '../lifecycle/check-input.ts'
import type { CustomCsrs } from '../lifecycle/custom-csr.ts'
import type { Authorize } from './access.ts'
import { answerError, answerNothing, toResponse, type Answer, type AnswerInfo } from './answer.ts'
import { CUSTOM_CSR_ROUTES } from './custom-csrs/routes.ts'
import { CUSTOM_CSR_CODES, GENERAL, type ResourceCodes } from './error-table.ts'
import { createOpenApiDocument } from './openapi.ts'
import { allowed, answerRoute, type Findings, type Route, type Settings } from './route.ts'
import { createRequestObserver } from './telemetry.ts'
import { toWireError, wireError } from './wire-error.ts'

/** How a handler serves. */
export interface HandlerOptions {
  /** Who sends a request, and what they may do. Required: there is no open default. */
  readonly authorize: Authorize
  /** What stands before `/zones`; default `/client/v4`. */
  readonly basePath?: string | undefined
  /** Hears of every failure that is answered with a bare 500. */
  readonly onError?:
    ((error: unknown, context: { requestId: string; request: Request }) => void) | undefined
  readonly onAnswer?: ((answered: AnswerInfo) => void) | undefined
  /** Names a request; default: its `x-request-id` if that is safe to log, or else a UUID. */
  readonly requestId?: ((request: Request) => string) | undefined
  /** Default 131072. */
  readonly maxBodyBytes?: number | undefined
  /** How long a body may take to arrive; default 30000. */
  readonly bodyTimeoutMs?: number | undefined
}

/** Answers a request; never rejects. */
export type Handler = (request: Request) => Promise<Response>

/** What is found out while one request is answered. */
interface Exchange extends Findings {
  readonly requestId: string
  readonly onError: (error: unknown) => void
  route?: string
  code?: number
}

type App = Hono<{ Bindings: Exchange }>

/**
 * Serves custom CSRs with the paths, fields and codes that existing clients know: a
 * function from `Request` to `Response`, for any server.
 * @throws {TypeError} without `authorize`, or with an option that is not valid
 *
 * @example
 * ```ts
 * const handler = createHandler(service, { authorize: (request) => whoIs(request) })
 * ```
 */
export function createHandler(service: CustomCsrs, options: HandlerOptions): Handler {
  const { authorize, onError, onAnswer, requestId } = options
  const basePath = checkBasePath(options.basePath ?? '/client/v4')
  const app = createApp(basePath, {
    service,
    authorize: checkFunction('authorize', authorize),
    checkScope,
    checkId: checkCsrId,
    maxBodyBytes: checkPositive('maxBodyBytes', options.maxBodyBytes ?? 131_072),
    bodyTimeoutMs: checkPositive('bodyTimeoutMs', options.bodyTimeoutMs ?? 30_000),
  })
  const observe = createRequestObserver()
  return (request) =>
    observe(request.method, async () => {
      const begun = performance.now()
      const id = nameRequest(request, requestId)
      const exchange: Exchange = {
        requestId: id,
        onError: (error) => {
          callHook(() => onError?.(error, { requestId: id, request }))
        },
      }
      const response = await dispatch(app, request, exchange)
      const info = describe(request, response, exchange, performance.now() - begun)
      callHook(() => onAnswer?.(info))
      return { response, info }
    })
}

/**
 * What methods look like. Hono looks them up in objects that have a prototype: `__proto__` would
 * be found there, and written to.
 */
const METHOD = /^[A-Z]{1,32}$/

async function dispatch(app: App, request: Request, exchange: Exchange): Promise<Response> {
  const failed = (error: unknown, headers: Record<string, string> = {}): Response => {
    const answer = answerFailure(error, request, exchange, CUSTOM_CSR_CODES)
    if (answer.code !== undefined) exchange.code = answer.code
    return toResponse({ ...answer, headers: { ...headers, ...answer.headers } }, exchange.requestId)
  }
  if (!METHOD.test(request.method)) {
    return failed(wireError(GENERAL.method_refused), { allow: 'DELETE, GET, HEAD, OPTIONS, POST' })
  }
  try {
    return await app.fetch(request, exchange)
  } catch (error) {
    return failed(error)
  }
}

function describe(
  request: Request,
  { status }: Response,
  { requestId, route, code, actor, scope }: Exchange,
  durationMs: number,
): AnswerInfo {
  const path = new URL(request.url).pathname
  return { requestId, method: request.method, route, path, status, code, durationMs, actor, scope }
}

function createApp(basePath: string, settings: Settings): App {
  const app: App = new Hono()
  for (const route of CUSTOM_CSR_ROUTES) {
    const pattern = route.path.replace(/\{\w+\}/, ':id{[^/]*}')
    // An empty id must reach the route, which says what is missing.
    app.all(`${basePath}/:kind{zones|accounts}/:scope{[^/]*}${pattern}`, (context) => {
      const kind = context.req.param('kind')
      context.env.route = `${basePath}/${kind}/{${kind === 'zones' ? 'zone' : 'account'}_id}${route.path}`
      return respond(context, route, () => answerRoute(route, context, settings, context.env))
    })
  }
  addDocument(app, basePath)
  app.notFound((context) =>
    respond(context, {}, () => Promise.reject(wireError(GENERAL.route_unknown))),
  )
  return app
}

function addDocument(app: App, basePath: string): void {
  const path = `${basePath}/openapi.json`
  const methods = { GET: true }
  let content: string | undefined
  app.all(path, (context) =>
    respond(context, { operations: methods }, async () => {
      context.env.route = path
      const { method } = context.req
      if (method === 'OPTIONS') return answerNothing({ allow: allowed(methods) })
      if (method !== 'GET' && method !== 'HEAD') throw wireError(GENERAL.method_refused)
      content ??= JSON.stringify(createOpenApiDocument({ basePath }))
      return { status: 200, headers: { 'content-type': 'application/json' }, content }
    }),
  )
}

/** Sends the answer, or that to whatever is thrown on the way to it. */
async function respond(
  context: Context<{ Bindings: Exchange }>,
  route: { readonly [Part in 'headers' | 'codes']?: Route[Part] } & { operations?: object },
  work: () => Promise<Answer>,
): Promise<Response> {
  const exchange = context.env
  let answer: Answer
  try {
    answer = await work()
  } catch (error) {
    answer = answerFailure(error, context.req.raw, exchange, route.codes ?? CUSTOM_CSR_CODES)
    if (answer.status === 405) {
      answer = { ...answer, headers: { ...answer.headers, allow: allowed(route.operations ?? {}) } }
    }
  }
  if (answer.code !== undefined) exchange.code = answer.code
  return toResponse(
    { ...answer, headers: { ...route.headers, ...answer.headers } },
    exchange.requestId,
  )
}

function answerFailure(
  error: unknown,
  request: Request,
  exchange: Exchange,
  codes: ResourceCodes,
): Answer {
  const failure = toWireError(error, codes)
  if (failure.kind.status !== 500) return answerError(failure)
  // Reads are given up when the client goes away; nobody failed then, and nobody listens.
  const { signal } = request
  if (signal.aborted && error === signal.reason) return answerError(wireError(GENERAL.client_gone))
  exchange.onError(error)
  return answerError(failure)
}

/** A hook's failure must not cost anybody the answer. */
function callHook(hook: () => unknown): void {
  try {
    const result = hook()
    // An async function may stand where one without a result is asked for.
    if (result instanceof Promise) result.catch(() => undefined)
  } catch {
    // There is nobody left to tell.
  }
}

/** What can stand in a log line and a header as it is. */
const SAFE_REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

function nameRequest(request: Request, ask: HandlerOptions['requestId']): string {
  let given: unknown
  try {
    given = ask === undefined ? request.headers.get('x-request-id') : ask(request)
  } catch {
    // A request without the name that was wanted is better than one without an answer.
  }
  return typeof given === 'string' && SAFE_REQUEST_ID.test(given) ? given : crypto.randomUUID()
}

function checkFunction<F>(name: string, value: F): F {
  if (typeof value === 'function') return value
  throw new TypeError(`createHandler: ${name} must be a function; there is no open default`)
}

function checkPositive(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new TypeError(`createHandler: ${name} must be a whole number from 1`)
}

function checkBasePath(basePath: string): string {
  const path = basePath.replace(/\/+$/, '')
  if (path === '' || /^(?:\/[A-Za-z0-9._~-]+)+$/.test(path)) return path
  throw new TypeError('createHandler: basePath must be a path such as /client/v4, or empty')
}
