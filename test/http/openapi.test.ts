import { readFileSync } from 'node:fs'
import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import { createHandler, createOpenApiDocument } from '../../src/http/index.ts'
import { CUSTOM_CSR_CODES } from '../../src/http/error-table.ts'
import { DOCUMENT, openWorld } from './support.ts'

test('the document is valid OpenAPI 3.1', async () => {
  const validator = new Validator()
  const { valid, errors } = await validator.validate(structuredClone({ ...DOCUMENT }))
  expect({ valid, errors }).toEqual({ valid: true, errors: undefined })
  expect(validator.version).toBe('3.1')
})

test('it names the version of the package, or the one given, and the base path', () => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { version: string }
  expect(DOCUMENT.info.version).toBe(version)
  const other = createOpenApiDocument({ version: '7', basePath: '/api' })
  expect(other.info.version).toBe('7')
  expect(other.servers).toEqual([{ url: '/api' }])
})

test('every field of every schema has a type', () => {
  const untyped: string[] = []
  const visit = (schema: unknown, at: string): void => {
    if (typeof schema !== 'object' || schema === null) return
    const { properties = {}, items, ...facts } = schema as Record<string, unknown>
    const typed = ['type', '$ref', 'anyOf', 'const', 'enum', 'properties'].some(
      (fact) => fact in facts || fact in schema,
    )
    if (!typed) untyped.push(at)
    for (const [name, property] of Object.entries(properties as object)) {
      visit(property, `${at}/${name}`)
    }
    if (items !== undefined) visit(items, `${at}/*`)
  }
  for (const [name, schema] of Object.entries(DOCUMENT.components.schemas)) visit(schema, name)
  expect(untyped).toEqual([])
})

test('every code of the table is named by an operation, with its status', () => {
  const text = JSON.stringify(DOCUMENT.paths)
  const { fields, codes, ...rest } = CUSTOM_CSR_CODES
  const all = [
    ...Object.values(rest),
    ...Object.values(codes),
    ...Object.values(fields).flatMap(({ any, long, item }) => [any, long, item]),
  ]
  for (const code of all) if (code !== undefined) expect(text).toContain(`${code.code}: `)
})

test('it is served to anybody, below the base path', async () => {
  await using world = await openWorld('sqlite')
  const { status, text } = await world.send('GET', '/openapi.json')
  expect(status).toBe(200)
  expect(JSON.parse(text)).toEqual(DOCUMENT)
  const { authorize } = world.clients
  for (const basePath of ['', '/', '/api/']) {
    const handler = createHandler(world.service, { authorize, basePath })
    const bare = basePath.replace(/\/$/, '')
    const response = await handler(new Request(`http://keystay.example${bare}/openapi.json`))
    const document = (await response.json()) as typeof DOCUMENT
    expect(document.servers).toEqual([{ url: bare === '' ? '/' : bare }])
  }
})
