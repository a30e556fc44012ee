import { chmod, readFile, readdir, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { changeCredentials } from '../../src/cli/credentials/credential-file.ts'
import { errorOf, run, spawnCli, temporaryDirectory, type RunResult } from './support.ts'

interface Created {
  readonly id: string
  readonly email: string
  readonly secret: string
  readonly role: string
  readonly zones: readonly string[]
  readonly accounts: readonly string[]
}

const WHOSE = ['--email', 'ops@example.com', '--role', 'edit']

async function create(path: string, ...more: string[]): Promise<RunResult> {
  return await run(['credential', 'create', '--credentials', path, ...WHOSE, ...more])
}

async function createJson(path: string, ...more: string[]): Promise<Created> {
  const { exitCode, stdout, stderr } = await create(path, '--json', ...more)
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  return JSON.parse(stdout) as Created
}

async function list(path: string): Promise<Record<string, unknown>[]> {
  const { stdout } = await run(['credential', 'list', '--credentials', path, '--json'])
  return JSON.parse(stdout) as Record<string, unknown>[]
}

describe('credential create', () => {
  test('prints a secret once, and keeps its hash for the owner alone', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'credentials.json')
    const created = await createJson(path, '--zone', 'z1', '--zone', 'z2,z1', '--account', 'a_1')
    expect(created).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      email: 'ops@example.com',
      secret: expect.stringMatching(/^keystay_[A-Za-z0-9_-]{43}$/) as string,
      role: 'edit',
      zones: ['z1', 'z2'],
      accounts: ['a_1'],
    })
    const kept = await readFile(path, 'utf8')
    expect(kept).not.toContain(created.secret.slice(8))
    expect(kept).toContain(createHash('sha256').update(created.secret).digest('hex'))
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(directory.path)).toEqual(['credentials.json'])
  })

  test('prints the secret alone for a shell, and how to use it beside', async () => {
    await using directory = await temporaryDirectory()
    const env = { KEYSTAY_CREDENTIALS: join(directory.path, 'from-environment.json') }
    const { stdout, stderr } = await run(['credential', 'create', ...WHOSE, '--zone', 'z'], { env })
    expect(stdout).toMatch(/^keystay_\S{43}\n$/)
    expect(stderr).toMatch(
      /X-Auth-Email: ops@example\.com.*Authorization: Bearer.*revoke [0-9a-f]/s,
    )
    expect(stderr).not.toContain(stdout.trim())
    expect(await readdir(directory.path)).toEqual(['from-environment.json'])
  })

  test.each([
    [['--email', 'ops'], /--email must be an e-mail address/],
    [['--email', 'ö@example.com'], /--email must be an e-mail address/],
    [['--zone', 'a/b'], /--zone must be an id/],
    [['--zone', 'z,'], /--zone must be an id/],
    [['--account', 'x'.repeat(65)], /--account must be an id/],
    [['--role', 'admin'], /Allowed choices are read, edit/],
  ])('refuses %j', async (more, message) => {
    await using directory = await temporaryDirectory()
    const result = await create(join(directory.path, 'c.json'), '--zone', 'z', ...more)
    expect(result).toMatchObject({ exitCode: 2, stdout: '' })
    expect(result.stderr).toMatch(message)
    expect(await readdir(directory.path)).toEqual([])
  })

  test('wants a zone or an account', async () => {
    const result = await create('/nowhere/c.json')
    expect(result).toMatchObject({ exitCode: 2 })
    expect(result.stderr).toMatch(/add --zone ID or --account ID/)
  })

  test('keeps nothing of a secret that could not be printed', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'c.json')
    const stdout = new Writable({
      write: (_chunk, _encoding, done) => {
        done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
      },
    })
    stdout.on('error', () => undefined)
    const argv = ['credential', 'create', '--credentials', path, ...WHOSE, '--zone', 'z']
    await run(argv, { stdout })
    expect(await list(path)).toEqual([])
  })

  test('loses nothing when many create at once', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'c.json')
    const own = Array.from({ length: 20 }, () => createJson(path, '--zone', 'z'))
    const others = Array.from({ length: 4 }, () =>
      spawnCli(['credential', 'create', '--credentials', path, ...WHOSE, '--zone', 'z', '--json']),
    )
    const created = await Promise.all(own)
    for (const { stdout } of await Promise.all(others)) created.push(JSON.parse(stdout) as Created)
    const ids = (await list(path)).map(({ id }) => id)
    expect(ids.toSorted()).toEqual(created.map(({ id }) => id).toSorted())
    expect(ids).toHaveLength(24)
    expect(await readdir(directory.path)).toEqual(['c.json'])
  })

  test('does not wait for a lock whose owner has died', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'c.json')
    await writeFile(`${path}.lock`, 'the one who died')
    const longAgo = new Date(Date.now() - 60_000)
    await utimes(`${path}.lock`, longAgo, longAgo)
    await Promise.all(Array.from({ length: 8 }, () => createJson(path, '--zone', 'z')))
    expect(await list(path)).toHaveLength(8)
    expect(await readdir(directory.path)).toEqual(['c.json'])
  })

  test('does not publish what it did under a lock that it lost', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'c.json')
    await createJson(path, '--zone', 'z')
    const before = await readFile(path, 'utf8')
    const { writeFileSync } = await import('node:fs')
    const changing = changeCredentials(path, () => {
      writeFileSync(`${path}.lock`, 'somebody else')
      return []
    })
    await expect(changing).rejects.toMatchObject({ code: 'output_unwritable' })
    expect(await readFile(path, 'utf8')).toBe(before)
    expect((await readdir(directory.path)).toSorted()).toEqual(['c.json', 'c.json.lock'])
  })

  test('follows a link to the file, and keeps it', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'c.json')
    const link = join(directory.path, 'link.json')
    await createJson(path, '--zone', 'z')
    await symlink(path, link)
    await createJson(link, '--zone', 'z')
    expect(await list(path)).toHaveLength(2)
    expect(
      (await readdir(directory.path, { withFileTypes: true })).map((f) => f.isSymbolicLink()),
    ).toEqual([false, true])
  })
})

describe('credential list and revoke', () => {
  test('show what is there without its secret, and end it', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'c.json')
    const first = await createJson(path, '--zone', 'z')
    const second = await createJson(path, '--account', 'a')
    expect(await list(path)).toEqual([
      expect.objectContaining({ id: first.id, zones: ['z'], accounts: [], role: 'edit' }),
      {
        ...{ id: second.id, email: 'ops@example.com', role: 'edit', zones: [], accounts: ['a'] },
        created_at: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      },
    ])
    const table = await run(['credential', 'list', '--credentials', path])
    expect(table.stdout).toMatch(
      /^ID .*FOR\n[0-9a-f-]{36} {2}edit {2}\S+Z +ops@.*zone:z\n.*account:a\n$/,
    )
    const revoke = ['credential', 'revoke', '--credentials', path, first.id]
    expect(await run(revoke)).toEqual({ exitCode: 0, stdout: 'revoked\n', stderr: '' })
    expect((await list(path)).map(({ id }) => id)).toEqual([second.id])
    expect(errorOf(await run([...revoke, '--json']))).toMatchObject({
      code: 'credential_not_found',
    })
  })

  test('a secret given instead of an id is not shown', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'c.json')
    const { secret } = await createJson(path, '--zone', 'z')
    const { stdout, stderr } = await run(['credential', 'revoke', '--credentials', path, secret])
    expect(stdout + stderr).not.toContain(secret)
  })

  test('without a file they say how to make one', async () => {
    for (const argv of [['list'], ['revoke', 'x']]) {
      const result = await run([
        'credential',
        ...argv,
        '--credentials',
        '/nowhere/c.json',
        '--json',
      ])
      expect(errorOf(result)).toMatchObject({
        code: 'credentials_missing',
        message: expect.stringContaining(
          'keystay credential create --credentials /nowhere/c.json --email',
        ) as string,
      })
    }
  })
})

describe('a file of credentials', () => {
  test('that others can read is refused', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'c.json')
    await createJson(path, '--zone', 'z')
    for (const mode of [0o640, 0o604, 0o620]) {
      await chmod(path, mode)
      const result = await create(path, '--zone', 'z', '--json')
      expect(errorOf(result).code).toBe('credentials_exposed')
      expect(errorOf(result).message).toContain(`chmod 600 ${path}`)
    }
  })

  const entry = {
    id: 'ef0ddd54-1b9c-4c4d-8a3c-4c8a1c9e1a01',
    email: 'ops@example.com',
    role: 'read',
    zones: ['z'],
    accounts: [],
    created_at: '2026-01-02T03:04:05.678Z',
    sha256: 'ab'.repeat(32),
  }
  const leaked = randomBytes(32).toString('base64url')
  test.each<readonly [string, string, RegExp]>([
    ['not JSON', `{"version":1,"credentials":[${leaked}`, /it is not JSON/],
    ['no object', JSON.stringify([leaked]), /one JSON object/],
    ['no version', JSON.stringify({ credentials: [] }), /\/version must be 1/],
    ['a later version', JSON.stringify({ version: 2 }), /later version of keystay/],
    ['no list', JSON.stringify({ version: 1, credentials: leaked }), /\/credentials must be/],
    ...Object.entries({
      id: leaked,
      email: leaked,
      role: leaked,
      zones: [leaked, '/'],
      accounts: leaked,
      created_at: leaked,
      sha256: leaked,
    }).map(
      ([field, value]) =>
        [
          field,
          JSON.stringify({
            version: 1,
            credentials: [entry, { ...entry, id: entry.id.replace('1', '2'), [field]: value }],
          }),
          new RegExp(`/credentials/1/${field} must be`),
        ] as const,
    ),
    [
      'an unknown field',
      JSON.stringify({ version: 1, credentials: [{ ...entry, [leaked]: 1 }] }),
      /\/credentials\/0 must have no fields but/,
    ],
    [
      'an id twice',
      JSON.stringify({ version: 1, credentials: [entry, entry] }),
      /\/credentials\/1\/id is that of another/,
    ],
  ])('with %s is refused, and not quoted', async (_what, content, message) => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'c.json')
    await writeFile(path, content, { mode: 0o600 })
    for (const argv of [['list'], ['create', ...WHOSE, '--zone', 'z']]) {
      const result = await run(['credential', ...argv, '--credentials', path, '--json', '--debug'])
      expect(errorOf(result).code).toBe('credentials_invalid')
      expect(errorOf(result).message).toMatch(message)
      expect(result.stderr).not.toContain(leaked)
    }
    expect(await readFile(path, 'utf8')).toBe(content)
  })
})
