import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { connect, createServer, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import {
  startHttpServer,
  type HttpServerOptions,
  type RunningServer,
} from '../../src/cli/serve/http-server.ts'
import { complaintAbout, sendRaw } from './serve-support.ts'

type Handler = HttpServerOptions['handler']

/** Answers with what it was asked. */
const echo: Handler = async (request) =>
  Response.json({ method: request.method, url: request.url, body: await request.text() })

interface Served extends AsyncDisposable {
  readonly port: number
  readonly server: RunningServer
  readonly refused: number[]
}

async function serve(
  handler: Handler = echo,
  limits: HttpServerOptions['limits'] = {},
): Promise<Served> {
  const refused: number[] = []
  const server = await startHttpServer(
    { host: '127.0.0.1', port: 0 },
    {
      handler,
      limits: { lingerMs: 200, ...limits },
      onRefused: ({ status }) => refused.push(status),
    },
  )
  return {
    ...{ port: server.port, server, refused },
    [Symbol.asyncDispose]: () =>
      server.stop({ drainMs: 0, timeoutMs: 2000 }).catch(() => undefined),
  }
}

const HOST = 'Host: localhost\r\n'

describe('what is not well-formed HTTP', () => {
  test.each([
    ['no HTTP at all', ['hello\r\n\r\n'], 400],
    ['TLS', [Buffer.from('16030100c8010000c40303', 'hex')], 400],
    ['the preface of HTTP/2', ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'], 400],
    ['no Host', ['GET / HTTP/1.1\r\n\r\n'], 400],
    ['two Hosts', [`GET / HTTP/1.1\r\n${HOST}Host: other\r\n\r\n`], 400],
    ['a Host that is none', ['GET / HTTP/1.1\r\nHost: a b\r\n\r\n'], 400],
    ['a Host with a path', ['GET / HTTP/1.1\r\nHost: a/b\r\n\r\n'], 400],
    ['CONNECT', [`CONNECT localhost:80 HTTP/1.1\r\n${HOST}\r\n`], 405],
    ['an asterisk', [`OPTIONS * HTTP/1.1\r\n${HOST}\r\n`], 400],
    ['another scheme', [`GET ftp://localhost/ HTTP/1.1\r\n${HOST}\r\n`], 400],
    ['a backslash', [`GET /a\\b HTTP/1.1\r\n${HOST}\r\n`], 400],
    ['an unknown expectation', [`GET / HTTP/1.1\r\n${HOST}Expect: tea\r\n\r\n`], 417],
    ['large headers', [`GET / HTTP/1.1\r\n${HOST}X: ${'x'.repeat(20_000)}\r\n\r\n`], 431],
    ['a long path', [`GET /${'x'.repeat(20_000)} HTTP/1.1\r\n${HOST}\r\n`], 431],
    ['many headers', [`GET / HTTP/1.1\r\n${HOST}${'X: y\r\n'.repeat(150)}\r\n`], 431],
    [
      'two lengths',
      [`POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
      400,
    ],
    [
      'length and chunks',
      [
        `POST / HTTP/1.1\r\n${HOST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      ],
      400,
    ],
    [
      'another coding',
      [`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
      400,
    ],
    ['chunks in HTTP/1.0', ['POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'], 400],
    ['a bad chunk', [`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\nzz\r\n`], 400],
    [
      'a bad chunk, later',
      [`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n`, 50, 'zz\r\n'],
      400,
    ],
  ] as const)('%s is answered in the envelope', async (_what, steps, status) => {
    await using served = await serve()
    const answer = await sendRaw(served.port, steps)
    expect([complaintAbout(answer), answer.status]).toEqual([undefined, status])
    expect(served.refused).toEqual([status])
    const after = await sendRaw(served.port, [`GET / HTTP/1.1\r\n${HOST}\r\n`])
    expect(after.status).toBe(200)
  })

  test('headers and bodies that do not end are answered with 408', async () => {
    await using served = await serve(echo, {
      headersTimeoutMs: 200,
      requestTimeoutMs: 400,
      checkIntervalMs: 50,
    })
    for (const steps of [
      [`GET / HTTP/1.1\r\n${HOST}X-Slow:`],
      [`POST / HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nab`],
      [`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n`],
    ]) {
      const answer = await sendRaw(served.port, steps)
      expect([complaintAbout(answer), answer.status]).toEqual([undefined, 408])
      expect(answer.headers['x-should-retry']).toBeUndefined()
    }
  })

  test('answers keep their order when a broken request follows a good one', async () => {
    await using served = await serve(async (request) => {
      await sleep(100)
      return await echo(request)
    })
    const good = `GET /good HTTP/1.1\r\n${HOST}\r\n`
    const { text } = await sendRaw(served.port, [`${good}${good}nonsense\r\n\r\n`], {
      untilClosed: true,
    })
    expect([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual([
      '200',
      '200',
      '400',
    ])
  })
})

describe('what is unusual but right', () => {
  test.each([
    ['HTTP/1.0 without a Host', 'GET /x HTTP/1.0\r\n\r\n', 'http://localhost/x'],
    ['an absolute target', `GET http://other/x HTTP/1.1\r\n${HOST}\r\n`, 'http://other/x'],
    [
      'an upgrade that is not for us',
      `GET /x HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      'http://localhost/x',
    ],
  ])('%s', async (_what, request, url) => {
    await using served = await serve()
    const { status, body } = await sendRaw(served.port, [request])
    expect([status, (JSON.parse(body) as { url: string }).url]).toEqual([200, url])
  })

  test('whoever asks first is told to go on, but not with what is too large', async () => {
    await using served = await serve()
    const head = `POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\n`
    const small = await sendRaw(served.port, [`${head}Content-Length: 2\r\n\r\n`, 50, 'ab'])
    expect(small.text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/)
    expect(small.body).toContain('"body":"ab"')
    const large = await sendRaw(served.port, [`${head}Content-Length: 9999999\r\n\r\n`], {
      quietMs: 200,
    })
    expect(large.text).not.toContain('100 Continue')
  })
})

describe('clients that hold on', () => {
  test('are cut when they take nothing of what they asked for', async () => {
    await using served = await serve(async () => new Response('x'.repeat(64 << 20)), {
      stallTimeoutMs: 300,
    })
    const socket = connect(served.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(`GET / HTTP/1.1\r\n${HOST}\r\n`)
    socket.pause()
    await sleep(1200)
    const received = once(socket, 'close')
    socket.resume()
    await received
    expect(socket.bytesRead).toBeLessThan(64 << 20)
  })

  test('are not cut while it is we who are slow', async () => {
    await using served = await serve(
      async () => {
        await sleep(600)
        return new Response('late')
      },
      { stallTimeoutMs: 100 },
    )
    const { body } = await sendRaw(served.port, [`GET / HTTP/1.1\r\n${HOST}\r\n`])
    expect(body).toBe('late')
  })
})

describe('a handler that throws', () => {
  test('is a bare 500, and the server goes on', async () => {
    await using served = await serve(() => Promise.reject(new Error('secret')))
    for (let round = 0; round < 2; round++) {
      const { status, body } = await sendRaw(served.port, [`GET / HTTP/1.1\r\n${HOST}\r\n`])
      expect(status).toBe(500)
      expect(JSON.parse(body)).toMatchObject({ success: false, errors: [{ code: 1500 }] })
      expect(body).not.toContain('secret')
    }
  })
})

describe('an address', () => {
  test('that is taken or absent is said to be', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    for (const [address, message] of [
      [{ host: '127.0.0.1', port }, /another program listens there/],
      [{ host: '192.0.2.1', port: 0 }, /no such address/],
      [{ host: 'nowhere.invalid', port: 0 }, /no host of this name|cannot listen/],
    ] as const) {
      await expect(startHttpServer(address, { handler: echo })).rejects.toMatchObject({
        code: 'address_unavailable',
        message: expect.stringMatching(message) as string,
      })
    }
    taken.close()
  })
})

describe('stop', () => {
  const request = `GET / HTTP/1.1\r\n${HOST}\r\n`

  test('lets requests end, and those that come before the listener closes', async () => {
    const served = await serve(async () => {
      await sleep(400)
      return new Response('done')
    })
    const running = sendRaw(served.port, [request])
    await sleep(50)
    const stopped = served.server.stop({ drainMs: 200, timeoutMs: 5000 })
    await sleep(50)
    const late = sendRaw(served.port, [request])
    for (const { status, body, headers } of await Promise.all([running, late])) {
      expect({ status, body, connection: headers['connection'] }).toEqual({
        ...{ status: 200, body: 'done', connection: 'close' },
      })
    }
    await stopped
    expect(await sendRaw(served.port, [request])).toMatchObject({ error: 'ECONNREFUSED' })
  })

  test('ends connections without a request, and answers on those with one', async () => {
    const served = await serve()
    const agent = new Agent({ keepAlive: true })
    const ask = (): Promise<string | undefined> =>
      new Promise((resolve, reject) => {
        get({ port: served.port, agent }, (response) => {
          response.resume().once('end', () => {
            resolve(response.headers.connection)
          })
        }).once('error', reject)
      })
    expect(await ask()).toBe('keep-alive')
    const idle = connect(served.port, '127.0.0.1')
    const idleEnded = once(idle, 'close')
    idle.resume()
    // Half a request, finished while the server stops.
    const half = sendRaw(served.port, ['GET / HTTP/1.1\r\n', 800, `${HOST}\r\n`])
    await sleep(50)
    expect(await ask()).toBe('keep-alive')
    const stopped = served.server.stop({ drainMs: 0, timeoutMs: 5000 })
    // The listener is closed by now, and the connection that was just in use is not.
    await sleep(300)
    expect(await ask()).toBe('close')
    expect(await half).toMatchObject({ status: 200, headers: { connection: 'close' } })
    expect(await idleEnded).toEqual([false])
    await stopped
    agent.destroy()
  })

  test('cuts what does not end in time, and says so', async () => {
    const served = await serve(() => new Promise(() => undefined))
    const hanging = sendRaw(served.port, [request])
    await sleep(50)
    await expect(served.server.stop({ drainMs: 0, timeoutMs: 300 })).rejects.toMatchObject({
      code: 'operation_timeout',
      message: expect.stringMatching(/^1 connections with 1 requests had not ended/) as string,
    })
    expect(await hanging).toMatchObject({ status: 0, closed: true })
  })
})
