import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { expect } from 'vitest'
import type { OpenApiDocument } from '../../src/http/index.ts'

interface OperationPart {
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly headers?: Readonly<Record<string, { required?: boolean; schema: object }>>
        readonly content: Readonly<Record<string, unknown>>
      }
    >
  >
}

interface Checker {
  readonly document: OpenApiDocument
  readonly ajv: Ajv2020
  readonly compiled: Map<string, ValidateFunction>
}

const checkers = new WeakMap<OpenApiDocument, Checker>()

/** What would be ignored, such as a format that is not known, would check nothing. */
function refuseSchema(...what: unknown[]): never {
  throw new Error(what.join(' '))
}

/** Answers may have no field that the document does not name. */
function closeObjects(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closeObjects)
  if (typeof schema !== 'object' || schema === null) return schema
  const closed: Record<string, unknown> = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, closeObjects(value)]),
  )
  if (closed.type === 'object' && 'properties' in closed) closed.additionalProperties ??= false
  return closed
}

function checkerOf(document: OpenApiDocument): Checker {
  let checker = checkers.get(document)
  if (checker === undefined) {
    const ajv = new Ajv2020({
      ...{ strict: false, allErrors: true },
      logger: { log: refuseSchema, warn: refuseSchema, error: refuseSchema },
    })
    addFormats.default(ajv)
    const { components, ...rest } = structuredClone(document)
    const schemas = closeObjects(components.schemas)
    ajv.addSchema({ ...rest, components: { ...components, schemas } }, 'document')
    checker = { document, ajv, compiled: new Map() }
    checkers.set(document, checker)
  }
  return checker
}

function validate(checker: Checker, steps: readonly string[], value: unknown): void {
  const pointer = steps.map((step) =>
    encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1')),
  )
  const $ref = `document#/${pointer.join('/')}`
  const check = checker.compiled.get($ref) ?? checker.ajv.compile({ $ref })
  checker.compiled.set($ref, check)
  check(value)
  expect(check.errors ?? [], `${$ref}: ${JSON.stringify(value)}`).toEqual([])
}

function findTemplate(document: OpenApiDocument, path: string): string | undefined {
  return Object.keys(document.paths).find((template) =>
    new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]*')}$`).test(path),
  )
}

/**
 * Checks an answer against the document: that its status is one that is named, that all its fields
 * are, and the headers. Reads a copy of it.
 */
export async function checkAnswer(
  document: OpenApiDocument,
  method: string,
  path: string,
  response: Response,
): Promise<void> {
  const checker = checkerOf(document)
  checkHeaders(response)
  const body = await response.clone().text()
  if (method === 'HEAD' || response.status === 204) {
    expect(body).toBe('')
    return
  }
  const template = findTemplate(document, path) ?? ''
  const operations = document.paths[template] ?? {}
  const name = method.toLowerCase()
  const operation = Object.hasOwn(operations, name) ? operations[name] : undefined
  if (operation === undefined) {
    expect([404, 405]).toContain(response.status)
    validate(checker, ['components', 'schemas', 'Failure'], JSON.parse(body))
    return
  }
  const status = String(response.status)
  const answer = (operation as unknown as OperationPart).responses[status]
  if (answer === undefined)
    throw new Error(`${method} ${template} ${status} is not in the document`)
  const steps = ['paths', template, name, 'responses', status]
  for (const [header, { required = false }] of Object.entries(answer.headers ?? {})) {
    const value = response.headers.get(header)
    if (required) expect(value, header).not.toBeNull()
    if (value !== null) validate(checker, [...steps, 'headers', header, 'schema'], value)
  }
  const type = response.headers.get('content-type') ?? ''
  expect(Object.keys(answer.content)).toContain(type)
  if (type === 'application/json') {
    validate(checker, [...steps, 'content', type, 'schema'], JSON.parse(body))
  }
}

function checkHeaders({ headers, status }: Response): void {
  expect(headers.get('cache-control')).toBe('no-store')
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('x-request-id')).toMatch(/^[A-Za-z0-9._-]+$/)
  expect(headers.has('www-authenticate')).toBe(status === 401)
  expect(headers.has('allow')).toBe(status === 405 || status === 204)
}
