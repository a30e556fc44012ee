import { once } from 'node:events'
import { request as sendHttp, type IncomingMessage, type RequestOptions } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { serveHandler } from '../support/http-server.ts'
import { RECORD } from '../support/record.ts'
import { openWorld, type SendOptions, type World } from './support.ts'

const PATH = '/zones/z/custom_csrs'
const RECORD_TEXT = JSON.stringify(RECORD)

function editor(world: World): Readonly<Record<string, string>> {
  return world.clients.add({ role: 'edit', zones: ['z'] }).bearer
}

const CREATE_REFUSALS: readonly [
  what: string,
  status: number,
  code: number,
  options: SendOptions,
][] = [
  ['a form', 415, 10415, { headers: { 'content-type': 'application/x-www-form-urlencoded' } }],
  ['plain text', 415, 10415, { headers: { 'content-type': 'text/plain' } }],
  [
    'another charset',
    415,
    10415,
    { headers: { 'content-type': 'application/json; charset=latin1' } },
  ],
  ['a patch', 415, 10415, { headers: { 'content-type': 'application/merge-patch+json' } }],
  ['two types', 415, 10415, { headers: { 'content-type': 'application/json, text/plain' } }],
  ['gzip', 415, 10415, { headers: { 'content-encoding': 'gzip' } }],
  ['a large length', 413, 10413, { headers: { 'content-length': '131073' } }],
  ['a large body', 413, 10413, { body: ' '.repeat(131_073) }],
  ['a deep list', 400, 1400, { body: '['.repeat(100_000) }],
  ['deep lists', 400, 1400, { body: '['.repeat(60_000) + ']'.repeat(60_000) }],
  [
    ...(['a deep object in a field', 400, 1407] as const),
    { body: RECORD_TEXT.replace('"Boston"', '{"a":'.repeat(20_000) + '1' + '}'.repeat(20_000)) },
  ],
  ['half a character', 400, 1400, { body: new Uint8Array([0x22, 0xc3, 0x22]) }],
  ['UTF-16', 400, 1400, { body: new Uint8Array(Buffer.from(RECORD_TEXT, 'utf16le')) }],
  ['a prototype', 400, 1400, { body: RECORD_TEXT.replace('{', '{"__proto__":{"name":"a"},') }],
  ['a constructor', 400, 1400, { body: { ...RECORD, constructor: {} } }],
  ['a list with holes of null', 400, 1412, { body: { ...RECORD, sans: [null] } }],
  ['a list of lists', 400, 1412, { body: { ...RECORD, sans: [[]] } }],
  ['a number beyond all', 400, 1405, { body: RECORD_TEXT.replace('"US"', '1e999') }],
  ['a NUL', 400, 1408, { body: { ...RECORD, organization: 'a\0b' } }],
  ['a NUL in a SAN', 400, 1412, { body: { ...RECORD, sans: ['a\0.example.com'] } }],
  ['a line end in the name', 400, 1400, { body: { ...RECORD, name: 'a\nb' } }],
]

test('bodies that are not what they should be are refused, and nothing is made', async () => {
  await using world = await openWorld('sqlite')
  const bearer = editor(world)
  for (const [what, status, code, { body = RECORD, headers = {} }] of CREATE_REFUSALS) {
    const answer = await world.send('POST', PATH, { body, headers: { ...bearer, ...headers } })
    expect([what, answer.status, answer.json.errors?.[0]?.code]).toEqual([what, status, code])
    expect(answer.headers.get('x-should-retry')).toBe('false')
  }
  const { json } = await world.send('GET', PATH, { headers: bearer })
  expect(json.result).toEqual([])
  expect(world.failures).toEqual([])
})

test('bodies as clients send them are taken', async () => {
  await using world = await openWorld('sqlite')
  const bearer = editor(world)
  const bom = new Uint8Array([0xef, 0xbb, 0xbf, ...Buffer.from(RECORD_TEXT)])
  for (const [type, body] of [
    ['application/json', RECORD_TEXT],
    ['Application/JSON; charset=UTF-8', RECORD_TEXT],
    ['application/json;charset="utf-8"', RECORD_TEXT],
    ['', bom],
    ['application/json', RECORD_TEXT + ' '.repeat(131_072 - RECORD_TEXT.length)],
  ] as const) {
    const headers = { ...bearer, 'content-type': type, 'content-encoding': 'identity' }
    expect((await world.send('POST', PATH, { body, headers })).status).toBe(201)
  }
})

test('a body is not asked for before it is known who sends it, and that they may', async () => {
  await using world = await openWorld('sqlite')
  const reader = world.clients.add({ role: 'read', zones: ['z'] })
  for (const [headers, status] of [
    [{}, 400],
    [{ authorization: 'Bearer nonsense' }, 401],
    [reader.bearer, 403],
  ] as const) {
    let pulled = 0
    const pull = (): void => {
      pulled++
    }
    const body = new ReadableStream({ pull }, { highWaterMark: 0 })
    const response = await world.handler(
      new Request(`http://keystay.example/client/v4${PATH}`, {
        ...{ method: 'POST', headers, body, duplex: 'half' },
      }),
    )
    expect([response.status, pulled]).toEqual([status, 0])
  }
})

test('a body that was read before is the fault of the embedding, not of the client', async () => {
  await using world = await openWorld('sqlite')
  const headers = { ...editor(world), 'content-type': 'application/json' }
  const url = `http://keystay.example/client/v4${PATH}`
  const request = new Request(url, { method: 'POST', headers, body: RECORD_TEXT })
  await request.text()
  expect((await world.handler(request)).status).toBe(500)
  expect(world.failures).toMatchObject([{ name: 'TypeError' }])
})

/** Sends over a real connection; `write` may send what it likes. */
async function sendRaw(
  port: number,
  options: RequestOptions,
  write: (send: (chunk: string) => void, end: () => void) => void,
): Promise<{ readonly status: number | undefined; readonly code: number }> {
  const outgoing = sendHttp({ port, method: 'POST', path: `/client/v4${PATH}`, ...options })
  // What the server does not read any more may fail to be sent, after its answer.
  outgoing.on('error', () => undefined)
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>
  write(
    (chunk) => outgoing.write(chunk),
    () => outgoing.end(),
  )
  const [response] = await answered
  const { errors } = JSON.parse(await text(response)) as { errors: { code: number }[] }
  outgoing.destroy()
  return { status: response.statusCode, code: errors[0]?.code ?? 0 }
}

test('slow and endless bodies over a real connection are ended with an answer', async () => {
  await using world = await openWorld('sqlite', { bodyTimeoutMs: 300, maxBodyBytes: 50_000 })
  await using served = await serveHandler(world.handler)
  const headers = { ...editor(world), 'content-type': 'application/json' }
  const { port } = served
  const slow = await sendRaw(port, { headers }, (send) => {
    send('{')
  })
  expect(slow).toEqual({ status: 408, code: 10408 })
  const dripping = await sendRaw(port, { headers }, (send) => {
    const timer = setInterval(() => {
      send(' ')
    }, 20)
    timer.unref()
    setTimeout(clearInterval, 2000, timer).unref()
  })
  expect(dripping).toEqual({ status: 408, code: 10408 })
  const endless = await sendRaw(port, { headers }, (send) => {
    for (let index = 0; index < 40; index++) send(' '.repeat(10_000))
  })
  expect(endless).toEqual({ status: 413, code: 10413 })
  const large = { ...headers, 'content-length': '10000000' }
  const announced = await sendRaw(port, { headers: large }, (send) => {
    send('{')
  })
  expect(announced).toEqual({ status: 413, code: 10413 })
  const good = await fetch(`${served.url}/client/v4${PATH}`, {
    ...{ method: 'POST', headers, body: RECORD_TEXT },
  })
  expect(good.status).toBe(201)
  expect(world.failures).toEqual([])
})

test('a client that goes away in the middle of its body is no failure of ours', async () => {
  const told: number[] = []
  const done = Promise.withResolvers<undefined>()
  await using world = await openWorld('sqlite', {
    onAnswer: ({ status }) => {
      told.push(status)
      done.resolve(undefined)
    },
  })
  await using served = await serveHandler(world.handler)
  const socket = connect(served.port, '127.0.0.1')
  const { authorization = '' } = editor(world)
  const lines = [`POST /client/v4${PATH} HTTP/1.1`, 'Host: a', `Authorization: ${authorization}`]
  socket.write([...lines, 'Content-Length: 1000', '', '{"country":'].join('\r\n'))
  setTimeout(() => socket.destroy(), 200)
  await done.promise
  expect(told).toEqual([499])
  expect(world.failures).toEqual([])
})
