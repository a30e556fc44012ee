import type { Context } from 'hono'
import type { CustomCsrs } from '../lifecycle/custom-csr.ts'
import type { Scope } from '../store/store.ts'
import type { Access, Authorize, Permission } from './access.ts'
import { answerNothing, type Answer } from './answer.ts'
import { authenticate } from './authenticate.ts'
import { readJsonBody, type BodyLimits } from './body.ts'
import { GENERAL, type ResourceCodes } from './error-table.ts'
import { wireError } from './wire-error.ts'

/** The methods that any route may know; HEAD and OPTIONS come with them. */
export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** What an operation is given when it may be done. */
export interface Call {
  readonly service: CustomCsrs
  readonly scope: Scope
  /** The id in the path; empty where the route has none. */
  readonly id: string
  readonly access: Access
  readonly request: Request
  readonly context: Context
  readBody(): Promise<Readonly<Record<string, unknown>>>
}

/** What one method does on one route. */
export interface Operation {
  readonly needs: Permission
  /** What somebody sees who has no permission at all: as if there were nothing, or a refusal. */
  readonly strangers: 'not_found' | 'forbidden'
  /**
   * Reads the query, before the permission is known, so that what is wrong with it is told to
   * everybody alike; answers what is then to be done.
   */
  readonly prepare: (query: URLSearchParams) => (call: Call) => Promise<Answer>
}

/** One path of a resource, below a zone or an account. */
export interface Route {
  /** As in `/custom_csrs/{custom_csr_id}`. */
  readonly path: string
  readonly codes: ResourceCodes
  readonly operations: Readonly<Partial<Record<Method, Operation>>>
  /** On every answer of the route, those to failures included. */
  readonly headers?: Readonly<Record<string, string>>
}

/** What a handler needs to answer. */
export interface Settings extends BodyLimits {
  readonly service: CustomCsrs
  readonly authorize: Authorize
  /** Refuses scopes and ids that have not the form of one. */
  readonly checkScope: (scope: Scope) => void
  readonly checkId: (id: string) => void
}

/** What is found out about a request on the way; for the log. */
export interface Findings {
  actor?: string
  scope?: Scope
}

/**
 * Answers a request, each check before any that could tell more: method, scope's form, who it is,
 * id's form, query, permission, body.
 * @throws {WireError} and what the service throws
 */
export async function answerRoute(
  route: Route,
  context: Context,
  settings: Settings,
  findings: Findings,
): Promise<Answer> {
  const request = context.req.raw
  const { codes } = route
  if (request.method === 'OPTIONS') return answerNothing({ allow: allowed(route.operations) })
  const method = request.method === 'HEAD' ? 'GET' : request.method
  const operation = findOperation(route, method)
  const { kind = '', scope: scopeId = '', id } = context.req.param()
  const scope: Scope = { kind: kind === 'zones' ? 'zone' : 'account', id: scopeId }
  settings.checkScope(scope)
  findings.scope = scope
  const access = await authenticate(request, settings.authorize, codes)
  findings.actor = access.actor
  if (id !== undefined) settings.checkId(id)
  const run = operation.prepare(new URL(request.url).searchParams)
  await checkPermission(operation, access, scope, codes)
  const readBody = (): ReturnType<Call['readBody']> => readJsonBody(request, settings, codes.body)
  return run({ service: settings.service, scope, id: id ?? '', access, request, context, readBody })
}

/** The value of the header `Allow`. */
export function allowed(operations: object): string {
  const methods = Object.keys(operations)
  const head = methods.includes('GET') ? ['HEAD'] : []
  return [...methods, ...head, 'OPTIONS'].sort().join(', ')
}

function findOperation({ operations }: Route, method: string): Operation {
  const operation = Object.hasOwn(operations, method) ? operations[method as Method] : undefined
  if (operation === undefined) throw wireError(GENERAL.method_refused)
  return operation
}

async function checkPermission(
  { needs, strangers }: Operation,
  access: Access,
  scope: Scope,
  codes: ResourceCodes,
): Promise<void> {
  const permission = await access.permission(scope)
  if (permission === 'edit' || (permission === 'read' && needs === 'read')) return
  const hidden = permission !== 'read' && strangers === 'not_found'
  throw wireError(hidden ? codes.notFound : codes.forbidden)
}
