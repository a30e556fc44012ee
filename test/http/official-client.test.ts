import { randomUUID } from 'node:crypto'
import Cloudflare from 'cloudflare'
import { describe, expect, test } from 'vitest'
import { KeystayError } from '../../src/errors.ts'
import type { Handler } from '../../src/http/index.ts'
import { serveHandler, type ServedHandler } from '../support/http-server.ts'
import { RECORD } from '../support/record.ts'
import { ENGINES, openWorld, type Client, type World } from './support.ts'

/** A handler that is listened to, and how often. */
interface Site extends AsyncDisposable {
  readonly served: ServedHandler
  requests: number
}

async function openSite(handler: Handler): Promise<Site> {
  const served = await serveHandler((request) => {
    site.requests++
    return handler(request)
  })
  const site: Site = { served, requests: 0, [Symbol.asyncDispose]: () => served.close() }
  return site
}

function connect({ served }: Site, { secret, email }: Client, style: 'token' | 'key'): Cloudflare {
  const none = { apiToken: null, apiKey: null, apiEmail: null, userServiceKey: null }
  return new Cloudflare({
    ...none,
    baseURL: `${served.url}/client/v4`,
    ...(style === 'token' ? { apiToken: secret } : { apiKey: secret, apiEmail: email }),
  })
}

const CREATE = RECORD as unknown as Omit<Cloudflare.CustomCsrs.CustomCsrCreateParams, 'zone_id'>

async function rejection(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    return error
  }
  throw new Error('was not refused')
}

function openClientWorld(engine: (typeof ENGINES)[number]): Promise<World> {
  return openWorld(engine)
}

describe.each(ENGINES)('the official client, on %s', (engine) => {
  test.each([
    ['zone_id', 'token'],
    ['account_id', 'key'],
  ] as const)('every method, by %s and %s', async (idName, style) => {
    await using world = await openClientWorld(engine)
    await using site = await openSite(world.handler)
    const where = { [idName]: 's' } as { zone_id: string }
    const grant = { role: 'edit', zones: ['s'], accounts: ['s'] } as const
    const client = connect(site, world.clients.add(grant), style)
    const made = await client.customCsrs.create({ ...where, ...CREATE })
    expect(made).toMatchObject(RECORD)
    expect(made.csr).toMatch(/^-----BEGIN CERTIFICATE REQUEST-----\n/)
    expect(await client.customCsrs.get(made.id, where)).toEqual(made)
    const page = await client.customCsrs.list(where)
    expect(page.result).toEqual([made])
    expect(await client.customCsrs.delete(made.id, where)).toBeNull()
    expect(await rejection(client.customCsrs.get(made.id, where))).toBeInstanceOf(
      Cloudflare.NotFoundError,
    )
    expect(site.requests).toBe(5)
  })

  test('pages through 130 CSRs by itself, each once, and ends', async () => {
    await using world = await openClientWorld(engine)
    await using site = await openSite(world.handler)
    const client = connect(site, world.clients.add({ role: 'edit', zones: ['s'] }), 'token')
    const made = new Set<string>()
    for (let index = 0; index < 130; index++) {
      made.add((await client.customCsrs.create({ zone_id: 's', ...CREATE })).id)
    }
    site.requests = 0
    const listed: string[] = []
    for await (const { id } of client.customCsrs.list({ zone_id: 's' })) listed.push(id)
    expect(listed).toHaveLength(130)
    expect(new Set(listed)).toEqual(made)
    // Seven pages of 20, and the empty one at which it stops.
    expect(site.requests).toBe(8)
  })
})

test('the class of each error, and no second try where the answer is final', async () => {
  const inUse = new KeystayError('custom_csr_in_use', 'in use')
  await using world = await openWorld('sqlite', {
    instead: { delete: () => Promise.reject(inUse) },
  })
  await using site = await openSite(world.handler)
  const { clients } = world
  const editor = connect(site, clients.add({ role: 'edit', zones: ['s'] }), 'token')
  const reader = connect(site, clients.add({ role: 'read', zones: ['s'] }), 'key')
  const nobody = connect(site, clients.refuse('token_invalid'), 'token')
  const where = { zone_id: 's' }
  for (const [ErrorClass, code, work] of [
    [
      Cloudflare.BadRequestError,
      1411,
      () => editor.customCsrs.create({ ...where, ...CREATE, sans: [] }),
    ],
    [Cloudflare.BadRequestError, 1418, () => editor.customCsrs.get('nonsense', where)],
    [Cloudflare.AuthenticationError, 1003, () => nobody.customCsrs.list(where)],
    [
      Cloudflare.PermissionDeniedError,
      1404,
      () => reader.customCsrs.create({ ...where, ...CREATE }),
    ],
    [Cloudflare.NotFoundError, 1419, () => editor.customCsrs.get(randomUUID(), where)],
    [Cloudflare.ConflictError, 1420, () => editor.customCsrs.delete(randomUUID(), where)],
  ] as const) {
    site.requests = 0
    const error = await rejection(work())
    expect(error).toBeInstanceOf(ErrorClass)
    expect((error as { errors: unknown }).errors).toMatchObject([{ code }])
    expect([code, site.requests]).toEqual([code, 1])
  }
})

test('what may pass is tried again by the client itself', async () => {
  let failing = 2
  await using world = await openWorld('sqlite', {
    instead: {
      list: () => {
        if (failing-- > 0) throw new KeystayError('store_unavailable', 'away')
        const empty = { items: [], page: 1, perPage: 20, totalCount: 0, totalPages: 0 }
        return Promise.resolve(empty)
      },
    },
  })
  await using site = await openSite(world.handler)
  const client = connect(site, world.clients.add({ role: 'read', zones: ['s'] }), 'token')
  expect((await client.customCsrs.list({ zone_id: 's' })).result).toEqual([])
  expect(site.requests).toBe(3)
})
