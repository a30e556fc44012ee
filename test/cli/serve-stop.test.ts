import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openStore } from '../../src/store/index.ts'
import { createCredential, startServe } from '../support/serve-process.ts'
import { REQUEST, temporaryDirectory } from './support.ts'

const CLIENTS = 64
const ZONE = { kind: 'zone', id: 'z' } as const

interface Answered {
  readonly status: number
  readonly body: string
}

/** One request; rejects where the connection breaks before the answer is complete. */
function ask(url: string, agent: Agent, secret: string, body: string): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      method: 'POST',
      agent,
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    })
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      text(response).then((answer) => {
        resolve({ status: response.statusCode ?? 0, body: answer })
      }, reject)
    })
    outgoing.end(body)
  })
}

test.each(['kept', 'closed', 'either'])(
  'SIGTERM under a storm of requests resets none, on connections that are %s',
  async (how) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'stop-program.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exit = once(child, 'exit')
    const [port] = (await once(child.stdout, 'data')) as [Buffer]
    const url = `http://127.0.0.1:${port.toString().trim()}/`
    const wrong: unknown[] = []
    const endings: string[] = []
    const client = async (index: number): Promise<void> => {
      const keepAlive = how === 'kept' || (how === 'either' && index % 2 === 0)
      const agent = new Agent({ keepAlive, maxSockets: 1 })
      try {
        for (;;) {
          const answer = await ask(url, agent, '', 'text')
          if (answer.body !== 'text') wrong.push(answer)
        }
      } catch (error) {
        endings.push((error as NodeJS.ErrnoException).code ?? String(error))
      }
      agent.destroy()
    }
    const clients = Array.from({ length: CLIENTS }, (_, index) => client(index))
    await sleep(300)
    child.kill('SIGTERM')
    await Promise.all(clients)
    expect(wrong).toEqual([])
    expect(endings).toEqual(Array.from({ length: CLIENTS }, () => 'ECONNREFUSED'))
    expect(await exit).toEqual([0, null])
  },
)

test('SIGTERM under load: every request has its answer, and every CSR answered stays', async () => {
  await using directory = await temporaryDirectory()
  const secretFile = join(directory.path, 'secret')
  await writeFile(secretFile, randomBytes(32).toString('base64'), { mode: 0o600 })
  const credentials = join(directory.path, 'credentials.json')
  const storeUri = `sqlite:${join(directory.path, 'keystay.db')}`
  const { secret } = await createCredential(credentials, { zones: [ZONE.id] })
  await using server = await startServe({
    KEYSTAY_BACKEND: `webcrypto:${directory.path}/keyring?secret-source=file:${secretFile}`,
    KEYSTAY_STORE: storeUri,
    KEYSTAY_CREDENTIALS: credentials,
  })
  const url = `${server.url}/zones/${ZONE.id}/custom_csrs`
  const body = JSON.stringify(REQUEST)
  const created: string[] = []
  const broken: unknown[] = []
  const endings: string[] = []
  let stopping = false
  const client = async (index: number): Promise<void> => {
    // Some keep their connection, some open one for each request.
    const agent = new Agent({ keepAlive: index % 4 !== 0, maxSockets: 1 })
    for (;;) {
      try {
        const answer = await ask(url, agent, secret, body)
        if (answer.status !== 201) broken.push(answer)
        else created.push((JSON.parse(answer.body) as { result: { id: string } }).result.id)
      } catch (error) {
        const { code = String(error) } = error as NodeJS.ErrnoException
        endings.push(code)
        if (!stopping || code !== 'ECONNREFUSED') broken.push(error)
        break
      }
    }
    agent.destroy()
  }
  const clients = Array.from({ length: CLIENTS }, (_, index) => client(index))
  while (created.length < 2 * CLIENTS) await sleep(20)
  stopping = true
  expect(await server.stop()).toBe(0)
  await Promise.all(clients)
  expect(broken).toEqual([])
  expect(endings).toEqual(Array.from({ length: CLIENTS }, () => 'ECONNREFUSED'))
  expect(server.log.at(-1)).toContain('"msg":"stopped"')

  await using store = await openStore(storeUri)
  const rows = await Promise.all(created.map((id) => store.getCsr(ZONE, id)))
  expect(rows.filter((row) => row === undefined)).toEqual([])
  const { total } = await store.listCsrs(ZONE, {
    ...{ orderBy: 'created_at', direction: 'asc', offset: 0, limit: 1 },
  })
  expect(total).toBe(created.length)
  expect(await store.unfinishedKeys({ now: new Date(8.64e15), limit: 1 })).toEqual([])
})
