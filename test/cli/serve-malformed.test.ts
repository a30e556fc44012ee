import { randomBytes } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { openBackend } from '../../backends/index.ts'
import { startHttpServer } from '../../src/cli/serve/http-server.ts'
import { createHandler, grantAccess } from '../../src/http/index.ts'
import { CustomCsrService } from '../../src/lifecycle/index.ts'
import { openStore } from '../../src/store/index.ts'
import { complaintAbout, sendRaw, type Step } from './serve-support.ts'
import { REQUEST } from './support.ts'

const PATH = '/client/v4/zones/z/custom_csrs'
const AUTH = 'Authorization: Bearer token\r\n'
const HOST = 'Host: localhost\r\n'
const RECORD = JSON.stringify(REQUEST)

type Case = readonly [name: string, steps: readonly Step[]]

function head(lines: string, { method = 'POST', path = PATH, version = '1.1' } = {}): string {
  return `${method} ${path} HTTP/${version}\r\n${HOST}${AUTH}${lines}`
}

function post(body: string | Buffer, more = 'Content-Type: application/json\r\n'): readonly Step[] {
  return [head(`${more}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`), body]
}

function named(family: string, cases: readonly (readonly Step[])[]): Case[] {
  return cases.map((steps, index) => [`${family} ${index}`, steps])
}

const SCALARS = ['null', 'true', '0', '-1e999', '""', '[]', '{}', '[[]]', '{"a":null}']

function bodies(): Case[] {
  const fields = Object.keys(REQUEST).filter((field) => field !== 'key_type')
  const required = fields.filter((field) => field !== 'organizational_unit')
  return [
    ...named(
      'scalar',
      SCALARS.map((text) => post(text)),
    ),
    ...named(
      'missing field',
      required.map((field) => post(JSON.stringify({ ...REQUEST, [field]: undefined }))),
    ),
    ...named(
      'wrong type',
      fields.flatMap((field) =>
        [0, true, {}, [[]], '\u0000', 'x'.repeat(2000)].map((value) =>
          post(JSON.stringify({ ...REQUEST, [field]: value })),
        ),
      ),
    ),
    ...named(
      'unknown field',
      ['__proto__', 'constructor', 'toString', 'sans ', 'Country', ''].map((field) =>
        post(`${RECORD.slice(0, -1)},${JSON.stringify(field)}:1}`),
      ),
    ),
    ...named(
      'name',
      [
        'a b',
        '-a.com',
        'a..b',
        '1.2.3.4',
        '::1',
        '*.*.com',
        'a*.com',
        'é.com',
        '\u202e.com',
        'x'.repeat(300),
      ].map((name) => post(JSON.stringify({ ...REQUEST, sans: [name] }))),
    ),
    ...named(
      'cut',
      Array.from({ length: 40 }, (_, index) =>
        post(RECORD.slice(0, Math.floor((index * RECORD.length) / 40))),
      ),
    ),
    ...named(
      'noise',
      Array.from({ length: 20 }, (_, index) =>
        post(Buffer.concat([Buffer.from([255]), randomBytes(index * 50)])),
      ),
    ),
    ...named('depth', [
      post('['.repeat(100_000)),
      post('{"a":'.repeat(20_000)),
      post(`{"sans":${'['.repeat(50_000)}${']'.repeat(50_000)}}`),
    ]),
  ]
}

function encodings(): Case[] {
  const types = [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'application/json; charset=utf-16',
    'application/xml',
    'json',
    ';',
    'application/json, text/html',
  ]
  return [
    ...named(
      'type',
      types.map((type) => post(RECORD, `Content-Type: ${type}\r\n`)),
    ),
    ...named(
      'coding',
      ['gzip', 'deflate', 'br', 'zstd', 'x', 'identity, gzip'].map((coding) =>
        post(RECORD, `Content-Type: application/json\r\nContent-Encoding: ${coding}\r\n`),
      ),
    ),
    ...named('charset', [
      post(Buffer.from(RECORD, 'utf16le')),
      post(Buffer.from(RECORD.replace('Boston', 'K\u00f6ln'), 'latin1')),
      post(Buffer.from([0xc0, 0x80])),
      post(Buffer.from(`\ufeff\ufeff${RECORD}`)),
    ]),
    ...named(
      'transfer coding',
      [
        'gzip',
        'chunked, chunked',
        'chunked, gzip',
        'identity',
        'xchunked',
        ' , chunked',
        'chunked\r\nTransfer-Encoding: chunked',
      ].map((coding) => [head(`Transfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`)]),
    ),
    ...named(
      'chunk',
      [
        'zz\r\n',
        '-1\r\n',
        'ffffffffffffffffff\r\n',
        '5\r\nab\r\n\r\n',
        '1;\u0000\r\n',
        `1;${'x'.repeat(40_000)}\r\n`,
        '0x5\r\nhello\r\n',
        '\r\n\r\n',
      ].map((chunk) => [
        head(`Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`),
      ]),
    ),
  ]
}

function sizes(): Case[] {
  return [
    ...named(
      'length',
      [
        '-1',
        '+5',
        '1e3',
        '0x10',
        '5 5',
        '5,6',
        'a',
        '99999999999999999999',
        '131073',
        '4294967296',
      ].map((length) => [
        head(`Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`),
      ]),
    ),
    ...named('too large', [
      post(' '.repeat(131_073)),
      post(`"${'x'.repeat(400_000)}"`),
      [
        head('Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'),
        ...Array.from({ length: 20 }, () => `4000\r\n${' '.repeat(0x4000)}\r\n`),
      ],
    ]),
    ...named('headers', [
      [head(`X: ${'x'.repeat(20_000)}\r\n\r\n`)],
      [head(`${'X: y\r\n'.repeat(120)}\r\n`)],
      [head(`${'x'.repeat(30_000)}: y\r\n\r\n`)],
      [head('\r\n', { path: `/${'p'.repeat(30_000)}`, method: 'GET' })],
    ]),
  ]
}

function heads(): Case[] {
  const paths = [
    '/',
    '//',
    '/client',
    '/client/v4/',
    `${PATH}/`,
    `${PATH}/x`,
    `${PATH}/%00`,
    `${PATH}/..%2f`,
    '/client/v4/zones//custom_csrs',
    '/client/v4/zones/%/custom_csrs',
    '/client/v4/zones/%zz/custom_csrs',
    '/client/v4/zones/%c3%28/custom_csrs',
    '/client/v4/zones/a.b/custom_csrs',
    `/client/v4/zones/${'z'.repeat(65)}/custom_csrs`,
    '/client/v4/zones/other/custom_csrs',
    '/client/v4/Zones/z/custom_csrs',
    `${PATH}?page=0`,
    `${PATH}?per_page=x`,
    `${PATH}?order=%ff`,
    `${PATH}?direction=up`,
    '/a\\b',
    '/\u00ff\u00fe',
    '/a b',
    '*',
    'http://',
    'http://[',
    'ftp://x/',
    'zones',
    '/..',
    '/%2e%2e/',
  ]
  const methods = [
    'PUT',
    'PATCH',
    'TRACE',
    'DELETE',
    'CONNECT',
    'PROPFIND',
    'get',
    'G3T',
    '',
    'POST\t',
    'x'.repeat(100),
  ]
  const lines = [
    'Host : localhost',
    'Host: other',
    'Content-Length: 1\r\nContent-Length: 2',
    'No colon',
    ': empty',
    'X\u0000: y',
    'X: a\u0000b',
    ' folded: x',
    'X: a\rb',
    'X:\n\n',
    'Expect: tea',
    'Authorization',
    'Content-Length: 0\r\nTransfer-Encoding: chunked',
  ]
  const auth = [
    'Authorization: Basic eDp5',
    'Authorization: Bearer',
    'Authorization: \u00ff',
    'X-Auth-Key: x',
    'X-Auth-Email: a\u00e9@b',
  ]
  return [
    ...named(
      'path',
      paths.map((path) => [head('\r\n', { method: 'GET', path })]),
    ),
    ...named(
      'method',
      methods.map((method) => [head('\r\n', { method, path: PATH })]),
    ),
    ...named(
      'version',
      ['0.9', '1.2', '2', '3.0', '1.', 'x', '1.1 x'].map((version) => [
        head('\r\n', { version, method: 'GET' }),
      ]),
    ),
    ...named(
      'header',
      lines.map((line) => [head(`${line}\r\n\r\n`)]),
    ),
    ...named(
      'null in the head',
      Array.from({ length: 40 }, (_, index) => {
        const whole = head('Content-Length: 0\r\n\r\n')
        const at = Math.floor((index * (whole.length - 4)) / 40)
        return [`${whole.slice(0, at)}\u0000${whole.slice(at)}`]
      }),
    ),
    ...named(
      'authorization',
      auth.map((line) => [`GET ${PATH} HTTP/1.1\r\n${HOST}${line}\r\n\r\n`]),
    ),
    ...named('no host', [
      ['GET / HTTP/1.1\r\n\r\n'],
      [`GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`],
      ['GET / HTTP/1.1\r\nHost: a@b\r\n\r\n'],
      ['GET / HTTP/1.1\r\nHost: [::\r\n\r\n'],
    ]),
    ...named('no HTTP', [
      [randomBytes(200)],
      ['\u0000'.repeat(100)],
      ['x'.repeat(20_000)],
      ['SSH-2.0-x\r\n'],
      ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
      ['GET /\r\n\r\n'],
    ]),
  ]
}

/** Each of these is waited for no longer than the server's limits, which are short here. */
function slow(): Case[] {
  return [
    ...named('slow head', [
      ['GET'],
      ['GET / HTTP/1.1\r\nHo'],
      Array.from(head('X: y\r\n\r\n')).flatMap((byte) => [byte, 40]),
      [head(''), ...Array.from({ length: 100 }, () => ['X: y\r\n', 60]).flat()],
    ]),
    ...named('slow body', [
      [head('Content-Type: application/json\r\nContent-Length: 10\r\n\r\n')],
      [head('Content-Type: application/json\r\nContent-Length: 10\r\n\r\n'), '{', 200, '"'],
      [head('Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'), '1\r\n{\r\n'],
      [
        head(`Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n`),
        ...Array.from({ length: 100 }, () => [' ', 60]).flat(),
      ],
      [
        head(
          'Content-Type: application/json\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n',
        ),
      ],
    ]),
  ]
}

/** Memory that is in use, after all was freed that can be. */
function usedMemory(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

test('300 malformed requests: each a clean 4xx, memory flat, and the server still answers', async () => {
  await using backend = await openBackend('webcrypto:')
  await using store = await openStore('sqlite::memory:')
  await using service = new CustomCsrService({ backend, store })
  const failures: unknown[] = []
  const onError = (error: unknown): void => {
    failures.push(error)
  }
  const handler = createHandler(service, {
    authorize: ({ headers }) =>
      headers.get('authorization') === 'Bearer token'
        ? grantAccess({ actor: 'a', role: 'edit', zones: ['z'] })
        : undefined,
    bodyTimeoutMs: 1000,
    onError,
  })
  const server = await startHttpServer(
    { host: '127.0.0.1', port: 0 },
    {
      handler,
      limits: {
        headersTimeoutMs: 1000,
        requestTimeoutMs: 3000,
        checkIntervalMs: 100,
        lingerMs: 300,
      },
      onError,
    },
  )
  const cases = [...bodies(), ...encodings(), ...sizes(), ...heads(), ...slow()]
  expect(cases.length).toBeGreaterThanOrEqual(300)
  const round = async (): Promise<void> => {
    const complaints: unknown[] = []
    const left = [...cases]
    const worker = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const [name, steps] = next
        const complaint = complaintAbout(await sendRaw(server.port, steps, { quietMs: 10_000 }))
        if (complaint !== undefined) complaints.push([name, complaint])
      }
    }
    await Promise.all(Array.from({ length: 16 }, worker))
    expect(complaints).toEqual([])
  }
  await round()
  const before = usedMemory()
  for (let repetition = 0; repetition < 3; repetition++) await round()
  expect(usedMemory() - before).toBeLessThan(16 << 20)
  expect(failures).toEqual([])

  const created = await sendRaw(server.port, post(RECORD))
  expect(created.status).toBe(201)
  await server.stop({ drainMs: 0, timeoutMs: 5000 })
})
