import { z } from 'zod'
import { CUSTOM_CSR_OPERATIONS, CUSTOM_CSR_SCHEMAS } from './custom-csrs/document.ts'
import { FAILURE, MESSAGE, type Json, type OperationDocument } from './document-parts.ts'
import { CUSTOM_CSR_CODES, GENERAL, REFUSALS, type WireCode } from './error-table.ts'

export interface OpenApiOptions {
  /** What stands before `/zones`; default `/client/v4`. */
  readonly basePath?: string | undefined
  /** Of the document; default: that of keystay. */
  readonly version?: string | undefined
}

/** An OpenAPI document, as JSON. */
export interface OpenApiDocument {
  readonly openapi: '3.1.0'
  readonly info: Json
  readonly servers: readonly Json[]
  readonly security: readonly Json[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Json>>>>
  readonly components: { readonly schemas: Readonly<Record<string, Json>> } & Json
}

/** The same as in package.json, which an edge worker cannot read. */
const VERSION = '0.1.0'

const KINDS = [
  { segment: 'zones', kind: 'zone' },
  { segment: 'accounts', kind: 'account' },
] as const

const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer' },
  email: { type: 'apiKey', in: 'header', name: 'X-Auth-Email' },
  key: { type: 'apiKey', in: 'header', name: 'X-Auth-Key' },
  userServiceKey: { type: 'apiKey', in: 'header', name: 'X-Auth-User-Service-Key' },
}

/** The OpenAPI 3.1 document of what a handler serves, made from the schemas that it checks with. */
export function createOpenApiDocument({
  basePath = '/client/v4',
  version = VERSION,
}: OpenApiOptions = {}): OpenApiDocument {
  return {
    openapi: '3.1.0',
    info: {
      title: 'keystay: custom CSRs',
      version,
      description:
        'Certificate signing requests whose private keys stay in an HSM or KMS. HEAD is answered as GET without a body.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: basePath === '' ? '/' : basePath }],
    security: [{ bearer: [] }, { email: [], key: [] }, { userServiceKey: [] }],
    paths: { ...describePaths(), '/openapi.json': { get: DOCUMENT_ITSELF } },
    components: {
      schemas: toJsonSchemas({ ...CUSTOM_CSR_SCHEMAS, Message: MESSAGE, Failure: FAILURE }),
      securitySchemes: SECURITY_SCHEMES,
    },
  }
}

const DOCUMENT_ITSELF: Json = {
  operationId: 'get_openapi_document',
  summary: 'This document',
  security: [],
  responses: {
    200: {
      description: 'An OpenAPI document',
      content: { 'application/json': { schema: { type: 'object' } } },
    },
  },
}

function describePaths(): Record<string, Record<string, Json>> {
  const paths: Record<string, Record<string, Json>> = {}
  for (const { segment, kind } of KINDS) {
    for (const [path, operations] of Object.entries(CUSTOM_CSR_OPERATIONS)) {
      const full = `/${segment}/{${kind}_id}${path}`
      paths[full] = {}
      for (const [method, operation] of Object.entries(operations)) {
        paths[full][method] = describeOperation(operation, kind, full)
      }
    }
  }
  return paths
}

function describeOperation(operation: OperationDocument, kind: string, path: string): Json {
  const { name, summary, description, body, query, parameters = [] } = operation
  return {
    operationId: `${name}_${kind}_custom_csr${name === 'list' ? 's' : ''}`,
    tags: ['custom_csrs'],
    summary,
    ...(description !== undefined && { description }),
    parameters: [...describePath(path), ...(query ? describeQuery(query) : []), ...parameters],
    ...(body && {
      requestBody: {
        required: true,
        content: { 'application/json': { schema: ref(body.schema), example: body.example } },
      },
    }),
    responses: { ...describeSuccess(operation.success), ...describeFailures(operation.errors) },
  }
}

function describePath(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema:
      name === 'custom_csr_id'
        ? { type: 'string', format: 'uuid' }
        : { type: 'string', pattern: '^[A-Za-z0-9_-]{1,64}$' },
  }))
}

function describeQuery(query: z.ZodType): Json[] {
  const { properties = {} } = z.toJSONSchema(query, { io: 'input' })
  return Object.entries(properties).map(([name, property]) => {
    const { description, ...schema } = property as Record<string, unknown>
    return { name, in: 'query', ...(description !== undefined && { description }), schema }
  })
}

const REQUEST_ID = {
  'x-request-id': {
    description: 'Names the request in the log',
    required: true,
    schema: { type: 'string' },
  },
}

function describeSuccess(success: OperationDocument['success']): Json {
  const { status, description, schema, example, files = [], headers = {} } = success
  const bytes = files.map((type) => [type, {}] as const)
  return {
    [status]: {
      description,
      headers: { ...REQUEST_ID, ...headers },
      content: {
        'application/json': { schema: ref(schema), ...(example !== undefined && { example }) },
        ...Object.fromEntries(bytes),
      },
    },
  }
}

/** What every operation may answer. */
const EVERYWHERE: readonly WireCode[] = [
  CUSTOM_CSR_CODES.scope,
  CUSTOM_CSR_CODES.noCredentials,
  ...Object.values(REFUSALS),
  GENERAL.internal,
]

function describeFailures(errors: readonly WireCode[]): Json {
  const byStatus = new Map<number, Map<number, string[]>>()
  for (const { status, code, meaning } of [...EVERYWHERE, ...errors]) {
    const codes = byStatus.get(status) ?? new Map<number, string[]>()
    const meanings = codes.get(code) ?? []
    if (!meanings.includes(meaning)) meanings.push(meaning)
    byStatus.set(status, codes.set(code, meanings))
  }
  const described = [...byStatus].sort(([a], [b]) => a - b).map(describeFailure)
  return Object.fromEntries(described)
}

function describeFailure([status, codes]: [number, Map<number, string[]>]): [string, Json] {
  const sorted = [...codes].sort(([a], [b]) => a - b)
  const only = { items: { properties: { code: { enum: sorted.map(([code]) => code) } } } }
  const answer: Json = {
    description: sorted.map(([code, meanings]) => `${code}: ${meanings.join('; ')}`).join('\n\n'),
    headers: REQUEST_ID,
    content: {
      'application/json': { schema: { allOf: [ref('Failure'), { properties: { errors: only } }] } },
    },
  }
  return [String(status), answer]
}

function ref(name: string): Json {
  return { $ref: `#/components/schemas/${name}` }
}

function toJsonSchemas(schemas: Readonly<Record<string, z.ZodType>>): Record<string, Json> {
  const registry = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id })
  const converted = z.toJSONSchema(registry, {
    io: 'input',
    uri: (id) => `#/components/schemas/${id}`,
  })
  return Object.fromEntries(
    Object.entries(converted.schemas).map(([name, schema]) => {
      const bare: Record<string, unknown> = { ...schema }
      // Said by the document as a whole.
      delete bare.$id
      delete bare.$schema
      return [name, bare]
    }),
  )
}
