import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Scope } from '../../src/lifecycle/index.ts'
import { INPUT } from '../support/custom-csr.ts'
import { RECORD } from '../support/record.ts'
import { openWorld, type World } from './support.ts'

const RUNS = 10_000

/** What somebody without rights may ask, in the terms of one scope and one id. */
const REQUEST = fc.record({
  kind: fc.constantFrom('zones' as const, 'accounts' as const),
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS', 'PURGE'),
  form: fc.constantFrom('list', 'lower', 'upper', 'braced', 'cut', 'encoded', 'slash'),
  rest: fc.constantFrom('', '/events', '/nothing'),
  query: fc.constantFrom('', '?page=1', '?page=x', '?after=0', '?limit=nonsense', '?name=secret'),
  role: fc.constantFrom('read' as const, 'edit' as const),
  style: fc.constantFrom('bearer' as const, 'keyPair' as const),
  accept: fc.constantFrom('*/*', 'application/pkcs10', 'application/x-pem-file'),
  body: fc.constantFrom('record', 'bad', 'none', 'no json'),
  idempotencyKey: fc.constantFrom(undefined, 'theirs', 'x'.repeat(300)),
})
type Asked = typeof REQUEST extends fc.Arbitrary<infer Value> ? Value : never

/** The forms in which an id may be sent. */
function formOf(form: Asked['form'], id: string): string {
  const forms: Readonly<Record<Asked['form'], string>> = {
    list: '',
    lower: `/${id}`,
    upper: `/${id.toUpperCase()}`,
    braced: `/%7B${id}%7D`,
    cut: `/${id.slice(1)}`,
    encoded: `/${id.replace('-', '%2D')}`,
    slash: `/${id}/`,
  }
  return forms[form]
}

const BODIES: Readonly<Record<Asked['body'], string | undefined>> = {
  record: JSON.stringify(RECORD),
  bad: JSON.stringify({ ...RECORD, sans: [] }),
  none: undefined,
  'no json': '{',
}

function toRequest(asked: Asked, scopeId: string, id: string, headers: object): Request {
  const { kind, method, form, rest, query, accept, body, idempotencyKey } = asked
  const path = `/${kind}/${scopeId}/custom_csrs${formOf(form, id)}${rest}${query}`
  const content = method === 'GET' || method === 'HEAD' ? undefined : BODIES[body]
  return new Request(`http://keystay.example/client/v4${path}`, {
    method,
    headers: {
      ...{ accept, 'content-type': 'application/json', ...headers },
      ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }),
    },
    ...(content !== undefined && { body: content }),
  })
}

/** All of an answer that may not differ. */
async function read(response: Response): Promise<unknown> {
  const headers = [...response.headers].filter(([name]) => name !== 'x-request-id')
  return { status: response.status, headers, body: await response.text() }
}

async function fill(world: World, scope: Scope): Promise<string[]> {
  const ids: string[] = []
  for (const name of ['secret', undefined, 'other']) {
    const options = { idempotencyKey: name === 'secret' ? 'theirs' : undefined }
    const { customCsr } = await world.service.create(scope, { ...INPUT, name }, options)
    ids.push(customCsr.id)
  }
  await world.service.delete(scope, ids[2] ?? '')
  return ids
}

test(`${RUNS} random requests learn nothing of another's zone or account`, async () => {
  await using world = await openWorld('sqlite')
  const theirs = { zones: await fill(world, { kind: 'zone', id: 'theirs' }), accounts: [''] }
  theirs.accounts = await fill(world, { kind: 'account', id: 'theirs' })
  const clients = {
    read: world.clients.add({ role: 'read', zones: ['own'], accounts: ['own'] }),
    edit: world.clients.add({ role: 'edit', zones: ['own'], accounts: ['own'] }),
  }
  const seen = new Set<number>()
  const property = fc.asyncProperty(REQUEST, fc.nat(2), async (asked, index) => {
    const { role, style, kind } = asked
    const headers = clients[role][style]
    const id = theirs[kind][index] ?? ''
    const ask = async (scopeId: string, csrId: string): Promise<unknown> =>
      read(await world.handler(toRequest(asked, scopeId, csrId, headers)))
    const answer = await ask('theirs', id)
    expect(answer).toEqual(await ask('nobodys', randomUUID()))
    expect(answer).toEqual(await ask('theirs', randomUUID()))
    if (asked.method === 'GET' && asked.form !== 'list') {
      expect(answer).toEqual(await ask('own', randomUUID()))
      expect(answer).toEqual(await ask('own', id))
    }
    seen.add((answer as { status: number }).status)
  })
  await fc.assert(property, { numRuns: RUNS })
  // Or else the requests were not what they are meant to be.
  expect([...seen].sort()).toEqual([204, 400, 403, 404, 405])
  for (const kind of ['zone', 'account'] as const) {
    const { totalCount } = await world.service.list({ kind, id: 'theirs' })
    expect(totalCount).toBe(2)
  }
  expect(world.failures).toEqual([])
})
