import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { KeystayError } from '../../src/errors.ts'
import { createHandler, type AnswerInfo, type HandlerOptions } from '../../src/http/index.ts'
import { parseCsr } from '../../src/csr/parse-csr.ts'
import { RECORD } from '../support/record.ts'
import { ENGINES, openWorld, type Answered, type World } from './support.ts'

interface WireCsr {
  readonly id: string
  readonly csr: string
  readonly sans: readonly string[]
  readonly created_at: string
  readonly [field: string]: unknown
}

async function create(world: World, change: object = {}, headers: object = {}): Promise<Answered> {
  const { bearer } = world.clients.add({ role: 'edit', zones: ['z'] })
  const body = { ...RECORD, ...change }
  const answer = await world.send('POST', '/zones/z/custom_csrs', {
    headers: { ...bearer, ...headers },
    body,
  })
  return answer
}

function resultOf({ json }: Answered): WireCsr {
  return json.result as WireCsr
}

describe.each(ENGINES)('custom CSRs over HTTP, on %s', (engine) => {
  test.each(['zones', 'accounts'] as const)('the request of record, in %s', async (kind) => {
    await using world = await openWorld(engine)
    const { keyPair: headers } = world.clients.add({ role: 'edit', [kind]: ['s'] })
    const made = await world.send('POST', `/${kind}/s/custom_csrs`, { headers, body: RECORD })
    expect(made.status).toBe(201)
    expect(made.json).toMatchObject({ success: true, errors: [], messages: [], result: RECORD })
    const result = resultOf(made)
    const path = `/${kind}/s/custom_csrs/${result.id}`
    expect(made.headers.get('location')).toBe(`/client/v4${path}`)
    const parsed = await parseCsr(result.csr)
    expect(parsed.signature.status).toBe('valid')
    expect(parsed.sans).toEqual(RECORD.sans.map((dns) => ({ dns })))
    expect('account_tag' in result).toBe(kind === 'accounts')
    expect((await world.send('GET', path, { headers })).json.result).toEqual(result)
    const listed = await world.send('GET', `/${kind}/s/custom_csrs`, { headers })
    expect(listed.json.result).toEqual([result])
    const gone = await world.send('DELETE', path, { headers, body: 'ignored' })
    expect(gone.json).toEqual({
      ...{ result: null, success: true, errors: [], messages: [] },
      message: 'Custom CSR deleted successfully',
    })
    expect((await world.send('GET', path, { headers })).status).toBe(404)
    const events = await world.send('GET', `${path}/events`, { headers })
    expect(events.json.result).toMatchObject([
      { type: 'custom_csr.created', custom_csr_id: result.id, actor: headers['x-auth-email'] },
      { type: 'custom_csr.deleted' },
      ...((events.json.result as unknown[]).length > 2 ? [{}] : []),
    ])
    const after = events.json.result_info?.last_sequence
    const more = await world.send('GET', `${path}/events?after=${after}`, { headers })
    expect(more.json).toMatchObject({ result: [], result_info: { count: 0, last_sequence: after } })
  })

  test('what may be left out, in any of the ways that clients have for it', async () => {
    await using world = await openWorld(engine)
    const left = { organizational_unit: null, name: '', description: null, key_type: null }
    const result = resultOf(await create(world, left))
    expect(result.key_type).toBe('rsa2048')
    for (const field of ['organizational_unit', 'name', 'description', 'account_tag']) {
      expect(result).not.toHaveProperty(field)
    }
    const given = { name: 'Parade', description: 'für die Parade 🎉' }
    expect(resultOf(await create(world, given))).toMatchObject(given)
    // 64 characters are 128 UTF-16 units here.
    const long = { organizational_unit: '🎉'.repeat(64) }
    expect(resultOf(await create(world, long))).toMatchObject(long)
  })

  test('the account of a zone is shown where authorize knows it', async () => {
    await using world = await openWorld(engine, {
      authorize: () => ({
        actor: 'a',
        permission: () => Promise.resolve('edit' as const),
        accountOf: (zone) => Promise.resolve(`owner-of-${zone}`),
      }),
    })
    expect(resultOf(await create(world)).account_tag).toBe('owner-of-z')
  })

  test('warnings are messages with a code and the field', async () => {
    await using world = await openWorld(engine)
    const { status, json } = await create(world, { common_name: 'other.example.com' })
    expect(status).toBe(201)
    expect(json.messages).toMatchObject([{ code: 2001, source: { pointer: '/common_name' } }])
    await using adding = await openWorld(engine, { service: { commonName: 'add' } })
    const added = await create(adding, { common_name: 'other.example.com' })
    expect(added.json.messages).toMatchObject([{ code: 2002 }])
    expect(resultOf(added).sans).toContain('other.example.com')
    const bad = await create(adding, { common_name: 'not a name' })
    expect([bad.status, bad.json.errors?.[0]]).toMatchObject([
      400,
      { code: 1409, source: { pointer: '/common_name' } },
    ])
  })

  test('lists by pages, in order, and by filters', async () => {
    await using world = await openWorld(engine)
    const { bearer: headers } = world.clients.add({ role: 'edit', zones: ['z'] })
    const ids: string[] = []
    for (let index = 0; index < 12; index++) {
      const name = `n${String((index * 7) % 12).padStart(2, '0')}`
      const sans = [`h${index}.example.com`, 'app.example.com']
      ids.push(
        resultOf(await create(world, { name, sans, key_type: index % 2 ? 'p384' : 'p256v1' })).id,
      )
    }
    const list = async (query: string): Promise<[unknown[], unknown]> => {
      const { status, json } = await world.send('GET', `/zones/z/custom_csrs${query}`, { headers })
      expect(status).toBe(200)
      return [(json.result as WireCsr[]).map(({ id }) => id), json.result_info]
    }
    const info = { page: 1, per_page: 20, count: 12, total_count: 12, total_pages: 1 }
    expect(await list('')).toEqual([ids, info])
    expect(await list('?cursor=&nonsense=1&account[id]=2')).toEqual([ids, info])
    const paged = { ...info, per_page: 5, total_pages: 3 }
    expect(await list('?per_page=5&page=3')).toEqual([
      ids.slice(10),
      { ...paged, page: 3, count: 2 },
    ])
    for (const page of [4, 999_999_999]) {
      expect(await list(`?per_page=5&page=${page}`)).toEqual([[], { ...paged, page, count: 0 }])
    }
    expect((await list('?direction=desc'))[0]).toEqual(ids.toReversed())
    const byName = ids.map((id, index) => [(index * 7) % 12, id] as const)
    byName.sort(([a], [b]) => a - b)
    expect((await list('?order=name'))[0]).toEqual(byName.map(([, id]) => id))
    expect((await list('?order=account_tag'))[0]).toEqual(ids)
    expect((await list('?name=n07'))[0]).toEqual([ids[1]])
    expect((await list('?san=H3.example.com'))[0]).toEqual([ids[3]])
    expect((await list('?key_type=p384&per_page=50'))[0]).toHaveLength(6)
    expect((await list('?common_name=app.example.com&san=h3.example.com'))[0]).toEqual([ids[3]])
    expect((await list('?common_name=nobody.example.com'))[0]).toEqual([])
  })

  test('refuses nonsense in a query, and says all of it', async () => {
    await using world = await openWorld(engine)
    const { bearer: headers } = world.clients.add({ role: 'read', zones: ['z'] })
    for (const [query, ...parameters] of [
      ['page=0', 'page'],
      ['page=', 'page'],
      ['page=-1', 'page'],
      ['page=1.0', 'page'],
      ['page=1e3', 'page'],
      ['page=0x10', 'page'],
      ['page=99999999999999999999', 'page'],
      ['page=1&page=2', 'page'],
      ['per_page=4', 'per_page'],
      ['per_page=51', 'per_page'],
      ['order=id&direction=up', 'order', 'direction'],
      ['name=&key_type=rsa', 'name', 'key_type'],
    ]) {
      const { status, json } = await world.send('GET', `/zones/z/custom_csrs?${query}`, { headers })
      expect([query, status]).toEqual([query, 400])
      expect(json.errors).toMatchObject(
        parameters.map((parameter) => ({ code: 10400, source: { parameter } })),
      )
    }
  })

  test('an idempotency key gives the same CSR again, and refuses another request', async () => {
    await using world = await openWorld(engine)
    const headers = { 'idempotency-key': randomUUID() }
    const first = await create(world, {}, headers)
    const second = await create(world, {}, headers)
    expect(second.status).toBe(201)
    expect(second.json.result).toEqual(first.json.result)
    expect([first, second].map((answer) => answer.headers.get('idempotency-replayed'))).toEqual([
      null,
      'true',
    ])
    const other = await create(world, { state: 'NY' }, headers)
    expect([other.status, other.json.errors?.[0]?.code]).toEqual([422, 10422])
    const bad = await create(world, {}, { 'idempotency-key': 'x'.repeat(256) })
    expect([bad.status, bad.json.errors]).toMatchObject([
      400,
      [{ code: 10400, source: { header: 'idempotency-key' } }],
    ])
    const { bearer } = world.clients.add({ role: 'edit', zones: ['z'] })
    const path = `/zones/z/custom_csrs/${resultOf(first).id}`
    expect((await world.send('DELETE', path, { headers: bearer })).status).toBe(200)
    const late = await create(world, {}, headers)
    expect([late.status, late.json.errors?.[0]?.code]).toEqual([422, 10422])
  })
})

test('while the same idempotency key is being worked on, a retry is asked for', async () => {
  const busy = new KeystayError('idempotency_key_busy', 'being worked on')
  await using world = await openWorld('sqlite', { instead: { create: () => Promise.reject(busy) } })
  const { status, headers, json } = await create(world, {}, { 'idempotency-key': 'a' })
  expect([status, json.errors?.[0]?.code, headers.get('retry-after')]).toEqual([409, 10409, '1'])
  expect(headers.has('x-should-retry')).toBe(false)
})

test('the bare request as DER or PEM, by the header Accept', async () => {
  await using world = await openWorld('sqlite')
  const { id, csr } = resultOf(await create(world, { common_name: '*.example.com' }))
  const { bearer } = world.clients.add({ role: 'read', zones: ['z'] })
  const get = (accept: string, method = 'GET'): Promise<Answered> =>
    world.send(method, `/zones/z/custom_csrs/${id}`, { headers: { ...bearer, accept } })
  for (const [accept, type] of [
    ['application/pkcs10', 'application/pkcs10'],
    ['APPLICATION/PKCS10;q=0.1', 'application/pkcs10'],
    ['application/x-pem-file, */*', 'application/x-pem-file'],
    ['application/x-pem-file;q=0.5, application/pkcs10;q=0.6', 'application/pkcs10'],
    ['application/*;q=0.2, application/x-pem-file;q=0.9', 'application/x-pem-file'],
    ['application/pkcs10;q=0.5, */*', 'application/json'],
    ['application/pkcs10;q=0, application/json', 'application/json'],
    ['application/json;q=0, application/*', 'application/pkcs10'],
    ['*/*', 'application/json'],
    ['text/html', 'application/json'],
    ['nonsense;;q=,', 'application/json'],
  ] as const) {
    const { headers } = await get(accept)
    expect([accept, headers.get('content-type'), headers.get('vary')]).toEqual([
      accept,
      type,
      'Accept',
    ])
  }
  expect((await get('application/x-pem-file')).text).toBe(csr)
  const der = await get('application/pkcs10')
  expect((await parseCsr(der.bytes)).signature.status).toBe('valid')
  expect(der.headers.get('content-disposition')).toBe('attachment; filename="_.example.com.csr"')
  const head = await get('application/pkcs10', 'HEAD')
  expect([head.status, head.text, head.headers.get('content-type')]).toEqual([
    ...[200, '', 'application/pkcs10'],
  ])
})

test('HEAD, OPTIONS, unknown methods and paths', async () => {
  await using world = await openWorld('sqlite')
  const { bearer: headers } = world.clients.add({ role: 'edit', zones: ['z'] })
  for (const [path, allow] of [
    ['/zones/z/custom_csrs', 'GET, HEAD, OPTIONS, POST'],
    [`/zones/z/custom_csrs/${randomUUID()}`, 'DELETE, GET, HEAD, OPTIONS'],
    [`/accounts/z/custom_csrs/${randomUUID()}/events`, 'GET, HEAD, OPTIONS'],
    ['/openapi.json', 'GET, HEAD, OPTIONS'],
  ] as const) {
    const options = await world.send('OPTIONS', path)
    expect([options.status, options.headers.get('allow')]).toEqual([204, allow])
    for (const method of ['PUT', 'PATCH', 'PROPFIND']) {
      const answer = await world.send(method, path)
      expect([answer.status, answer.json.errors?.[0]?.code]).toEqual([405, 10405])
      expect(answer.headers.get('allow')).toBe(allow)
    }
  }
  for (const method of ['__proto__', 'constructor', 'M-SEARCH']) {
    const answer = await world.send(method, '/zones/z/custom_csrs', { headers })
    expect([answer.status, answer.json.errors?.[0]?.code]).toEqual([405, 10405])
  }
  expect(Object.keys(Object.prototype)).toEqual([])
  expect((await world.send('HEAD', '/zones/z/custom_csrs', { headers })).status).toBe(200)
  for (const path of [
    '',
    '/',
    '/zones',
    '/zones/z',
    '/zonesz/custom_csrs',
    '/zones/z/custom_csrs/a/b',
  ]) {
    const answer = await world.send('GET', path, { headers })
    expect([path, answer.status, answer.json.errors?.[0]?.code]).toEqual([path, 404, 10404])
  }
})

test('every request has an id, and is told to onAnswer', async () => {
  const told: AnswerInfo[] = []
  await using world = await openWorld('sqlite', { onAnswer: (answer) => told.push(answer) })
  const client = world.clients.add({ role: 'edit', zones: ['z'] })
  const id = 'req_7.a-b'
  const taken = await world.send('GET', '/zones/z/custom_csrs?name=x', {
    headers: { ...client.bearer, 'x-request-id': id },
  })
  expect(taken.headers.get('x-request-id')).toBe(id)
  const unsafe = await world.send('GET', '/nowhere', { headers: { 'x-request-id': 'a b"c' } })
  expect(unsafe.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  expect(told).toMatchObject([
    {
      ...{ requestId: id, method: 'GET', status: 200, code: undefined, actor: client.email },
      route: '/client/v4/zones/{zone_id}/custom_csrs',
      path: '/client/v4/zones/z/custom_csrs',
      scope: { kind: 'zone', id: 'z' },
    },
    { status: 404, code: 10404, route: undefined, actor: undefined, scope: undefined },
  ])
  expect(told.every(({ durationMs }) => durationMs >= 0)).toBe(true)
})

test('hooks that fail cost nobody the answer', async () => {
  const fail = (): never => {
    throw new Error('the hook is broken')
  }
  const failLater = (): Promise<void> => Promise.reject(new Error('the hook is broken'))
  const hooks: readonly (() => unknown)[] = [fail, failLater]
  for (const hook of hooks) {
    await using world = await openWorld('sqlite', {
      ...{ onAnswer: hook, onError: hook, requestId: fail },
      instead: { list: () => Promise.reject(new Error('broken too')) },
    })
    const { bearer } = world.clients.add({ role: 'edit', zones: ['z'] })
    const { status } = await world.send('GET', '/zones/z/custom_csrs', { headers: bearer })
    expect(status).toBe(500)
  }
})

test('an authorize that fails is a 500, not an open door', async () => {
  await using world = await openWorld('sqlite', {
    authorize: () => Promise.reject(new Error('the directory is away')),
  })
  const { status } = await world.send('GET', '/zones/z/custom_csrs')
  expect([status, world.failures.length]).toEqual([500, 1])
})

test('a reader who goes away is no failure; a creation goes on', async () => {
  const gone = AbortSignal.abort()
  await using world = await openWorld('sqlite', {
    instead: {
      list: (_, { signal } = {}) => {
        signal?.throwIfAborted()
        return Promise.reject(new Error('the signal did not arrive'))
      },
    },
  })
  const { bearer: headers } = world.clients.add({ role: 'edit', zones: ['z'] })
  const request = (method: string, body?: string): Request =>
    new Request('http://keystay.example/client/v4/zones/z/custom_csrs', {
      ...{ method, headers: { ...headers, 'content-type': 'application/json' }, signal: gone },
      ...(body !== undefined && { body }),
    })
  expect((await world.handler(request('GET'))).status).toBe(499)
  expect(world.failures).toEqual([])
  expect((await world.handler(request('POST', JSON.stringify(RECORD)))).status).toBe(201)
})

test('a handler is not made without authorize, or with options that make no sense', async () => {
  await using world = await openWorld('sqlite')
  const { authorize } = world.clients
  for (const options of [
    {},
    { authorize: 'everybody' },
    { authorize, basePath: 'client' },
    { authorize, basePath: '/a b' },
    { authorize, basePath: '/:id' },
    { authorize, maxBodyBytes: 0 },
    { authorize, bodyTimeoutMs: Number.NaN },
  ]) {
    expect(() => createHandler(world.service, options as HandlerOptions)).toThrow(TypeError)
  }
})
