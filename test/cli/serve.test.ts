import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { chmod, readdir, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCredential, startServe, type ServeProcess } from '../support/serve-process.ts'
import { MAIN, REQUEST, errorOf, run, temporaryDirectory } from './support.ts'

const GENERATED = randomBytes(32).toString('base64')

/** Where everything of one server is. */
function environment(directory: string): Record<string, string> {
  const secretFile = join(directory, 'secret')
  writeFileSync(secretFile, GENERATED, { mode: 0o600 })
  return {
    KEYSTAY_BACKEND: `webcrypto:${directory}/keyring?secret-source=file:${secretFile}`,
    KEYSTAY_STORE: `sqlite:${directory}/keystay.db`,
    KEYSTAY_CREDENTIALS: join(directory, 'credentials.json'),
  }
}

describe('keystay serve does not start', () => {
  test('without credentials, and says how to make some', async () => {
    await using directory = await temporaryDirectory()
    const env = environment(directory.path)
    const path = env['KEYSTAY_CREDENTIALS'] ?? ''
    const command = `keystay credential create --credentials ${path} --email you@example.com --zone ZONE_ID --role edit`
    const none = await run(['serve', '--json'], { env })
    expect(errorOf(none)).toMatchObject({ code: 'credentials_missing' })
    expect(errorOf(none).message).toContain(command)

    // The command that it names does help.
    const [, ...argv] = command.split(' ')
    const created = await run([...argv, '--json'])
    const { id } = JSON.parse(created.stdout) as { id: string }
    await run(['credential', 'revoke', id, '--credentials', path])
    const revoked = await run(['serve', '--json'], { env })
    expect(errorOf(revoked)).toMatchObject({ code: 'credentials_missing' })
    expect(errorOf(revoked).message).toContain(command)
    // Nothing was opened, so nothing was made.
    expect(await readdir(directory.path)).toEqual(['credentials.json', 'secret'])
  })

  test('with credentials that others can read, or that are damaged', async () => {
    await using directory = await temporaryDirectory()
    const env = environment(directory.path)
    const path = env['KEYSTAY_CREDENTIALS'] ?? ''
    await createCredential(path, { zones: ['z'] })
    await chmod(path, 0o644)
    expect(errorOf(await run(['serve', '--json'], { env })).code).toBe('credentials_exposed')
    await writeFile(path, '{')
    await chmod(path, 0o600)
    expect(errorOf(await run(['serve', '--json'], { env })).code).toBe('credentials_invalid')
  })

  test('where CSRs would outlive their keys', async () => {
    await using directory = await temporaryDirectory()
    const env = environment(directory.path)
    env['KEYSTAY_BACKEND'] = 'webcrypto:'
    await createCredential(env['KEYSTAY_CREDENTIALS'] ?? '', { zones: ['z'] })
    expect(errorOf(await run(['serve', '--json'], { env }))).toMatchObject({
      code: 'backend_not_durable',
      message: expect.stringContaining('the store sqlite::memory:') as string,
    })
  })

  test('where another program listens', async () => {
    await using directory = await temporaryDirectory()
    const env = environment(directory.path)
    await createCredential(env['KEYSTAY_CREDENTIALS'] ?? '', { zones: ['z'] })
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    const result = await run(['serve', '--json', '--port', String(port)], { env })
    expect(result.exitCode).toBe(1)
    expect(errorOf(result)).toMatchObject({ code: 'address_unavailable' })
    taken.close()
  })

  test.each([
    [['--port', '65536'], {}, /--port \(KEYSTAY_PORT\) must be a whole number from 0 to 65535/],
    [[], { KEYSTAY_PORT: '80a' }, /--port \(KEYSTAY_PORT\) must be/],
    [['--quota', '-1'], {}, /--quota \(KEYSTAY_QUOTA\) must be/],
    [['--max-connections', '0'], {}, /--max-connections \(KEYSTAY_MAX_CONNECTIONS\)/],
    [['--stop-timeout', 'x'], {}, /--stop-timeout \(KEYSTAY_STOP_TIMEOUT\) must be a number/],
    [['--refuse-names', 'all'], {}, /Allowed choices are none, cloudflare/],
    [[], { KEYSTAY_REFUSE_NAMES: 'all' }, /KEYSTAY_REFUSE_NAMES\) must be one of none, cloudflare/],
    [[], { KEYSTAY_LOG_LEVEL: 'loud' }, /KEYSTAY_LOG_LEVEL\) must be one of silent/],
    [['--base-path', 'client'], {}, /--base-path \(KEYSTAY_BASE_PATH\) must be a path/],
    [[], {}, /no backend named; add --backend URI or set KEYSTAY_BACKEND/],
  ])('with %j and %j', async (argv, env, message) => {
    const result = await run(['serve', ...argv], { env })
    expect(result).toMatchObject({ exitCode: 2, stdout: '' })
    expect(result.stderr).toMatch(message)
  })

  test('with a store whose URI is wrong, and does not show its password', async () => {
    await using directory = await temporaryDirectory()
    const env = environment(directory.path)
    await createCredential(env['KEYSTAY_CREDENTIALS'] ?? '', { zones: ['z'] })
    const store = `postgres://u:${GENERATED.replaceAll('/', '_')}@[/db`
    const result = await run(['serve', '--store', store, '--debug', '--json'], { env })
    expect(errorOf(result).code).toBe('store_uri_invalid')
    expect(result.stdout + result.stderr).not.toContain(GENERATED.slice(0, 8))
  })
})

describe('keystay serve', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>
  let server: ServeProcess
  let secret: string
  beforeAll(async () => {
    directory = await temporaryDirectory()
    const env = environment(directory.path)
    ;({ secret } = await createCredential(env['KEYSTAY_CREDENTIALS'] ?? '', { zones: ['z'] }))
    server = await startServe({ ...env, KEYSTAY_QUOTA: '2', KEYSTAY_REFUSE_NAMES: 'cloudflare' })
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  const ask = async (
    path: string,
    { method = 'GET', body }: { method?: string; body?: unknown } = {},
  ): Promise<{ status: number; json: { errors: { code: number }[] } }> => {
    const answer = await fetch(`${server.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return {
      status: answer.status,
      json: (await answer.json()) as { errors: { code: number }[] },
    }
  }

  /** The lines of the log, once there is one that has all of this. */
  const logged = async (part: Record<string, unknown>): Promise<Record<string, unknown>> => {
    for (;;) {
      const lines = server.log.filter((line) => line.startsWith('{'))
      const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
      const found = parsed.find((line) =>
        Object.entries(part).every(([name, value]) => line[name] === value),
      )
      if (found !== undefined) return found
      await new Promise((resolveTimer) => setTimeout(resolveTimer, 10))
    }
  }

  test('says where it listens and what with, without secrets', async () => {
    const line = await logged({ msg: 'listening' })
    const { port } = new URL(server.url)
    expect(line).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string,
      host: '127.0.0.1',
      port: Number(port),
      url: server.url,
      backend: `webcrypto:${directory.path}/keyring`,
      store: `sqlite:${directory.path}/keystay.db`,
      credentials_file: join(directory.path, 'credentials.json'),
      credentials: 1,
      msg: 'listening',
    })
    await expect.poll(() => server.log).toContain(`keystay answers at ${server.url}`)
  })

  test('tells anybody that it is alive and ready, and no more', async () => {
    const { origin } = new URL(server.url)
    for (const path of ['/healthz', '/readyz']) {
      const answer = await fetch(origin + path)
      expect([answer.status, await answer.json()]).toEqual([200, { status: 'ok' }])
      expect((await fetch(origin + path, { method: 'HEAD' })).status).toBe(200)
      expect((await fetch(origin + path, { method: 'POST' })).status).toBe(405)
    }
  })

  test('keeps to the policies that it was given', async () => {
    const names = ['a.example.net', 'b.example.net'].map((name) =>
      name.replace('example', 'keystay'),
    )
    const body = { ...REQUEST, common_name: names[0], sans: names }
    const path = '/zones/z/custom_csrs'
    expect((await ask(path, { method: 'POST', body: REQUEST })).json.errors[0]?.code).toBe(1416)
    expect((await ask(path, { method: 'POST', body })).status).toBe(201)
    expect((await ask(path, { method: 'POST', body })).status).toBe(201)
    const refused = await ask(path, { method: 'POST', body })
    expect([refused.status, refused.json.errors[0]?.code]).toEqual([403, 1403])
  })

  test('logs each request by what we know of it, not by what was sent', async () => {
    const marker = randomBytes(9).toString('hex')
    const id = randomBytes(8).toString('hex')
    const answer = await fetch(`${server.url}/zones/z/custom_csrs/${marker}?name=${marker}`, {
      headers: { authorization: `Bearer ${secret}`, 'x-request-id': id, 'x-marker': marker },
    })
    expect(answer.headers.get('x-request-id')).toBe(id)
    expect(await logged({ request_id: id })).toEqual({
      level: 'info',
      time: expect.any(String) as string,
      request_id: id,
      method: 'GET',
      route: expect.stringMatching(
        /^\/client\/v4\/zones\/\{zone_id\}\/custom_csrs\/\{\w+\}$/,
      ) as string,
      status: 400,
      code: 1418,
      duration_ms: expect.any(Number) as number,
      actor: 'ops@example.net',
      scope: 'zone:z',
      msg: 'request',
    })
    for (const line of server.log) {
      expect(line).not.toContain(marker)
      expect(line).not.toContain(secret)
      expect(line).not.toContain(GENERATED)
    }
  })

  test('refuses what was revoked from the next request on, and lets in what was added', async () => {
    const credentials = join(directory.path, 'credentials.json')
    const { id, secret: second } = await createCredential(credentials, { zones: ['z'] })
    const status = async (): Promise<number> => {
      const headers = { authorization: `Bearer ${second}` }
      return (await fetch(`${server.url}/zones/z/custom_csrs`, { headers })).status
    }
    expect(await status()).toBe(200)
    await run(['credential', 'revoke', id, '--credentials', credentials])
    expect(await status()).toBe(401)
    expect(await logged({ msg: 'credentials read again', credentials: 2 })).toBeDefined()
  })

  test('ends with 0 on SIGINT as well', async () => {
    const { child } = server
    child.kill('SIGINT')
    expect(await once(child, 'exit')).toEqual([0, null])
    expect(JSON.parse(server.log.at(-1) ?? '')).toMatchObject({ msg: 'stopped' })
  })
})

test('a second signal does not wait', async () => {
  await using directory = await temporaryDirectory()
  const env = environment(directory.path)
  await createCredential(env['KEYSTAY_CREDENTIALS'] ?? '', { zones: ['z'] })
  const { child } = await startServe(env, ['--drain', '20'])
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  await new Promise((resolveTimer) => setTimeout(resolveTimer, 200))
  child.kill('SIGTERM')
  expect(await exit).toEqual([143, null])
})

test('what makes a request does not load what serves', () => {
  const seen = new Set<string>()
  const packages = new Set<string>()
  const walk = (file: string): void => {
    if (seen.has(file) || !existsSync(file)) return
    seen.add(file)
    const source = readFileSync(file, 'utf8')
    for (const [, specifier = ''] of source.matchAll(
      /^(?:import|export)\s(?!type\b)(?:[^'()]*\bfrom\s+)?'([^']+)'/gm,
    )) {
      if (specifier.startsWith('.')) walk(resolve(dirname(file), specifier))
      else packages.add(specifier.replace(/^node:.*/, 'node'))
    }
  }
  walk(MAIN)
  expect(seen.size).toBeGreaterThan(20)
  expect([...packages].toSorted()).toEqual(['commander', 'node'])
  expect(
    [...seen].filter((file) =>
      /src\/(?:store|http|lifecycle|cli\/(?:serve|credentials))\//.test(file),
    ),
  ).toEqual([])
})
