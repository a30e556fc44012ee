import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { KeystayError } from '../../src/errors.ts'
import type { RefusalReason } from '../../src/http/index.ts'
import type { RefusedNames } from '../../src/lifecycle/index.ts'
import { INPUT } from '../support/custom-csr.ts'
import { RECORD } from '../support/record.ts'
import { ENGINES, openWorld, type SendOptions } from './support.ts'

type Row = readonly [
  what: string,
  change: Readonly<Record<string, unknown>>,
  code: number,
  at: string,
]

const BAD_BODIES: readonly Row[] = [
  ['no country', { country: undefined }, 1405, '/country'],
  ['a lower-case country', { country: 'us' }, 1405, '/country'],
  ['null for the state', { state: null }, 1406, '/state'],
  ['a long state', { state: 'x'.repeat(129) }, 1406, '/state'],
  ['a locality that is a number', { locality: 1 }, 1407, '/locality'],
  ['a control character in the locality', { locality: 'a\u0007' }, 1407, '/locality'],
  ['an empty organization', { organization: '' }, 1408, '/organization'],
  ['an organization of white space', { organization: '  ' }, 1408, '/organization'],
  ['a long unit', { organizational_unit: 'x'.repeat(65) }, 1400, '/organizational_unit'],
  ['no common name', { common_name: undefined }, 1409, '/common_name'],
  ['half a surrogate pair', { common_name: 'a\ud800' }, 1409, '/common_name'],
  ['a common name of 65', { common_name: 'a'.repeat(65) }, 1410, '/common_name'],
  ['no SANs', { sans: undefined }, 1411, '/sans'],
  ['an empty list of SANs', { sans: [] }, 1411, '/sans'],
  ['one text for the SANs', { sans: 'app.example.com' }, 1411, '/sans'],
  ['a SAN of 256', { sans: ['a'.repeat(256)] }, 1412, '/sans/0'],
  ['an IP address', { sans: ['a.example.com', '192.0.2.1'] }, 1412, '/sans/1'],
  ['a URI', { sans: ['https://a.example.com/'] }, 1412, '/sans/0'],
  ['special characters', { sans: ['a!b.example.com'] }, 1412, '/sans/0'],
  ['a hyphen at the edge', { sans: ['-a.example.com'] }, 1412, '/sans/0'],
  ['a wildcard inside', { sans: ['a.*.example.com'] }, 1412, '/sans/0'],
  ['a typed name', { sans: [{ dns: 'a.example.com' }] }, 1412, '/sans/0'],
  ['the same name twice', { sans: ['a.example.com', 'A.example.com'] }, 1412, '/sans/1'],
  ['a SAN that is not ASCII', { sans: ['bücher.example.com'] }, 1413, '/sans/0'],
  ['a public suffix', { sans: ['*.co.uk'] }, 1415, '/sans/0'],
  ['an unknown key type', { key_type: 'rsa1024' }, 1417, '/key_type'],
  ['an unknown field', { commonName: 'a' }, 1400, '/commonName'],
]

const POLICIES: readonly [RefusedNames, string, number][] = [
  ['cloudflare', 'a.test', 1414],
  ['cloudflare', 'a.invalidtopdomain', 1415],
  ['cloudflare', 'a.example.net', 1416],
  [(name) => (name === 'a.example.net' ? 'not ours' : undefined), 'a.example.net', 1412],
]

const REASONS: readonly [RefusalReason, number][] = [
  ['token_missing', 1000],
  ['token_malformed', 1001],
  ['token_header_invalid', 1002],
  ['token_invalid', 1003],
  ['token_claims_unreadable', 1004],
  ['token_claims_missing', 1005],
]

describe.each(ENGINES)('the codes of custom CSRs, on %s', (engine) => {
  test('what is wrong with a body: 400, its code, and where', async () => {
    await using world = await openWorld(engine)
    const client = world.clients.add({ role: 'edit', zones: ['z'] })
    for (const [what, change, code, pointer] of BAD_BODIES) {
      const body = { ...RECORD, ...change }
      const options = { headers: client.bearer, body }
      const { status, json, headers } = await world.send('POST', '/zones/z/custom_csrs', options)
      expect([what, status, json.errors?.[0]]).toMatchObject([
        what,
        400,
        { code, source: { pointer } },
      ])
      expect(json.errors, what).toHaveLength(1)
      expect(headers.get('x-should-retry')).toBe('false')
      expect(json.errors?.[0]?.message).not.toMatch(
        /commonName must|organizationalUnit|internationalNames|\{"/,
      )
    }
    const { json } = await world.send('GET', '/zones/z/custom_csrs', { headers: client.bearer })
    expect(json.result).toEqual([])
    expect(world.failures).toEqual([])
  })

  test('all that is wrong with the form of a body is told at once, in the order of the fields', async () => {
    await using world = await openWorld(engine)
    const client = world.clients.add({ role: 'edit', zones: ['z'] })
    const body = { sans: ['ok.example.com', 7], country: 'usa', nonsense: 1, common_name: null }
    const options = { headers: client.bearer, body }
    const { json } = await world.send('POST', '/zones/z/custom_csrs', options)
    expect(json.errors?.map(({ code }) => code)).toEqual([1405, 1406, 1407, 1408, 1409, 1412, 1400])
    const many = { ...RECORD, sans: Array.from({ length: 10_000 }, () => 0) }
    const answer = await world.send('POST', '/zones/z/custom_csrs', { ...options, body: many })
    expect(answer.json.errors).toHaveLength(20)
  })

  test.each(POLICIES)('a name refused by policy %s: %s is %i', async (refuseNames, san, code) => {
    await using world = await openWorld(engine, { service: { refuseNames } })
    const client = world.clients.add({ role: 'edit', accounts: ['a'] })
    const body = { ...RECORD, common_name: 'a.keystay.dev', sans: ['a.keystay.dev', san] }
    const options = { headers: client.keyPair, body }
    const { status, json } = await world.send('POST', '/accounts/a/custom_csrs', options)
    expect(status).toBe(400)
    expect(json.errors).toMatchObject([{ code, source: { pointer: '/sans/1' } }])
  })

  test('1400 for what is no JSON object', async () => {
    await using world = await openWorld(engine)
    const { bearer } = world.clients.add({ role: 'edit', zones: ['z'] })
    for (const body of [
      '',
      '{',
      'null',
      '[]',
      '"a"',
      '{"a":1}x',
      new Uint8Array([0x7b, 0xff, 0x7d]),
    ]) {
      const answer = await world.send('POST', '/zones/z/custom_csrs', { headers: bearer, body })
      expect([answer.status, answer.json.errors?.[0]?.code]).toEqual([400, 1400])
    }
  })

  test('1401 for a zone or account without the form of one, before anything else', async () => {
    await using world = await openWorld(engine)
    for (const id of ['', 'a%20b', 'a%2Fb', '%00', 'x'.repeat(65), '%zz', 'ü']) {
      for (const kind of ['zones', 'accounts']) {
        const answer = await world.send('GET', `/${kind}/${id}/custom_csrs`)
        expect([answer.status, answer.json.errors?.[0]?.code]).toEqual([400, 1401])
      }
    }
  })

  test('1402 without credentials, 1003 with such as nobody knows', async () => {
    await using world = await openWorld(engine)
    const ask = async (headers: SendOptions['headers'] = {}): Promise<unknown> => {
      const { status, json } = await world.send('GET', '/zones/z/custom_csrs', { headers })
      return [status, json.errors?.[0]?.code]
    }
    expect(await ask()).toEqual([400, 1402])
    // The id is not looked at before.
    const one = await world.send('GET', '/zones/z/custom_csrs/nonsense')
    expect([one.status, one.json.errors?.[0]?.code]).toEqual([400, 1402])
    expect(await ask({ authorization: 'Bearer nonsense' })).toEqual([401, 1003])
    expect(await ask({ 'x-auth-email': 'a@example.net' })).toEqual([401, 1003])
    expect(await ask({ 'x-auth-user-service-key': 'v1.0-nonsense' })).toEqual([401, 1003])
  })

  test.each(REASONS)('%s is 401 and %i', async (reason, code) => {
    await using world = await openWorld(engine)
    const { bearer, keyPair } = world.clients.refuse(reason)
    for (const headers of [bearer, keyPair]) {
      const answer = await world.send('POST', '/zones/z/custom_csrs', { headers, body: RECORD })
      expect([answer.status, answer.json.errors?.[0]?.code]).toEqual([401, code])
      expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    }
  })

  test('1403 beyond the quota', async () => {
    await using world = await openWorld(engine, { service: { quota: 1 } })
    const { bearer } = world.clients.add({ role: 'edit', zones: ['z'] })
    const create = { headers: bearer, body: RECORD }
    expect((await world.send('POST', '/zones/z/custom_csrs', create)).status).toBe(201)
    const { status, json } = await world.send('POST', '/zones/z/custom_csrs', create)
    expect([status, json.errors?.[0]?.code]).toEqual([403, 1403])
  })

  test('1404 for who may not, also where there is nothing', async () => {
    await using world = await openWorld(engine)
    const { service } = world
    const { customCsr } = await service.create({ kind: 'zone', id: 'z' }, INPUT)
    const reader = world.clients.add({ role: 'read', zones: ['z'] })
    const stranger = world.clients.add({ role: 'edit', zones: ['other'] })
    const ask = async (
      { bearer }: typeof reader,
      method: string,
      path: string,
    ): Promise<unknown> => {
      const body = method === 'POST' ? { body: RECORD } : {}
      const answer = await world.send(method, `/zones/z/custom_csrs${path}`, {
        headers: bearer,
        ...body,
      })
      return [answer.status, answer.json.errors?.[0]?.code]
    }
    expect(await ask(reader, 'GET', `/${customCsr.id}`)).toEqual([200, undefined])
    expect(await ask(reader, 'POST', '')).toEqual([403, 1404])
    for (const id of [customCsr.id, randomUUID()]) {
      expect(await ask(reader, 'DELETE', `/${id}`)).toEqual([403, 1404])
      expect(await ask(stranger, 'DELETE', `/${id}`)).toEqual([404, 1419])
      expect(await ask(stranger, 'GET', `/${id}`)).toEqual([404, 1419])
      expect(await ask(stranger, 'GET', `/${id}/events`)).toEqual([404, 1419])
    }
    expect(await ask(stranger, 'GET', '')).toEqual([403, 1404])
    expect(await ask(stranger, 'POST', '')).toEqual([403, 1404])
  })

  test('1418 for an id that is no UUID, 1419 for one that is nobody’s', async () => {
    await using world = await openWorld(engine)
    const { keyPair: headers } = world.clients.add({ role: 'edit', zones: ['z'] })
    for (const [id, expected] of [
      ['', [400, 1418]],
      ['1', [400, 1418]],
      [`${randomUUID()}0`, [400, 1418]],
      [randomUUID(), [404, 1419]],
      [randomUUID().toUpperCase(), [404, 1419]],
    ] as const) {
      for (const [method, more] of [
        ['GET', ''],
        ['DELETE', ''],
        ['GET', '/events'],
      ] as const) {
        const path = `/zones/z/custom_csrs/${id}${more}`
        const { status, json } = await world.send(method, path, { headers })
        expect([method, path, status, json.errors?.[0]?.code]).toEqual([method, path, ...expected])
      }
    }
  })

  test('1420 while a certificate uses the key, and no retry is asked for', async () => {
    const inUse = new KeystayError('custom_csr_in_use', 'in use by a.example.com')
    const instead = { delete: () => Promise.reject(inUse) }
    await using world = await openWorld(engine, { instead })
    const { bearer } = world.clients.add({ role: 'edit', zones: ['z'] })
    const path = `/zones/z/custom_csrs/${randomUUID()}`
    const { status, json, headers } = await world.send('DELETE', path, { headers: bearer })
    expect([status, json.errors]).toEqual([
      409,
      [{ code: 1420, message: 'in use by a.example.com' }],
    ])
    expect(headers.get('x-should-retry')).toBe('false')
  })

  test('1500 and nothing else for what is nobody’s business; onError hears all', async () => {
    const secret = randomUUID()
    const thrown = [
      new KeystayError('store_unavailable', secret),
      new KeystayError('pin_incorrect', secret, { pointer: '/commonName' }),
      new Error(secret),
      secret,
      undefined,
    ]
    for (const error of thrown) {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- anything can be thrown
      const instead = { list: () => Promise.reject(error) }
      await using world = await openWorld(engine, { instead })
      const { bearer } = world.clients.add({ role: 'read', zones: ['z'] })
      const answer = await world.send('GET', '/zones/z/custom_csrs', { headers: bearer })
      expect([answer.status, answer.json.errors]).toEqual([
        500,
        [{ code: 1500, message: 'Internal server error' }],
      ])
      expect(answer.text).not.toContain(secret)
      expect(answer.headers.has('x-should-retry')).toBe(false)
      expect(world.failures).toEqual([error])
    }
  })
})

test('a device that does not make the key type: 1417, in words of the API', async () => {
  const unsupported = new KeystayError('key_type_unsupported', 'slot 7 has no ed25519')
  const instead = { create: () => Promise.reject(unsupported) }
  await using world = await openWorld('sqlite', { instead })
  const { bearer } = world.clients.add({ role: 'edit', zones: ['z'] })
  const create = { headers: bearer, body: RECORD }
  const { status, json } = await world.send('POST', '/zones/z/custom_csrs', create)
  expect([status, json.errors?.[0]]).toMatchObject([
    400,
    { code: 1417, source: { pointer: '/key_type' } },
  ])
  expect(json.errors?.[0]?.message).not.toContain('slot')
})
