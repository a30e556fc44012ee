import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createFileAuthorizer, type FileAuthorizer } from '../../src/cli/credentials/authorize.ts'
import type { Access } from '../../src/http/access.ts'
import { run, temporaryDirectory } from './support.ts'

interface Setup extends AsyncDisposable {
  readonly path: string
  readonly id: string
  readonly secret: string
  readonly other: string
  readonly authorizer: FileAuthorizer
  readonly problems: string[]
  readonly ask: (headers: Record<string, string>) => Promise<unknown>
}

async function create(path: string, ...more: string[]): Promise<{ id: string; secret: string }> {
  const argv = ['credential', 'create', '--credentials', path, '--role', 'edit', '--json', ...more]
  return JSON.parse((await run(argv)).stdout) as { id: string; secret: string }
}

async function setUp(): Promise<Setup> {
  const directory = await temporaryDirectory()
  const path = join(directory.path, 'c.json')
  const { id, secret } = await create(path, '--email', 'Ops@Example.com', '--zone', 'z')
  const { secret: other } = await create(path, '--email', 'dev@example.com', '--account', 'a')
  const problems: string[] = []
  const authorizer = createFileAuthorizer(path, { onProblem: (problem) => problems.push(problem) })
  const ask = async (headers: Record<string, string>): Promise<unknown> => {
    const answer = await authorizer.authorize(new Request('http://localhost/', { headers }))
    return answer === undefined || 'refused' in answer ? answer?.refused : answer.actor
  }
  return {
    ...{ path, id, secret, other, authorizer, problems, ask },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}

/** Changes the entries of a file by hand, in place. */
async function edit(
  path: string,
  change: (entries: Record<string, unknown>[]) => unknown[],
): Promise<void> {
  const content = JSON.parse(await readFile(path, 'utf8')) as {
    credentials: Record<string, unknown>[]
  }
  await writeFile(path, JSON.stringify({ ...content, credentials: change(content.credentials) }))
}

describe('a request', () => {
  test('is recognized in each of the styles', async () => {
    await using setup = await setUp()
    const { secret, ask } = setup
    for (const headers of [
      { 'X-Auth-Email': 'ops@example.COM', 'X-Auth-Key': secret },
      { Authorization: `Bearer ${secret}` },
      { Authorization: `bearer  ${secret} ` },
      { 'X-Auth-User-Service-Key': secret },
      {
        'X-Auth-Email': 'ops@example.com',
        'X-Auth-Key': secret,
        Authorization: `Bearer ${secret}`,
      },
    ]) {
      expect(await ask(headers)).toBe('Ops@Example.com')
    }
  })

  test('may do what its credential says, and nothing else', async () => {
    await using setup = await setUp()
    const { secret, authorizer } = setup
    const headers = { Authorization: `Bearer ${secret}` }
    const access = (await authorizer.authorize(
      new Request('http://localhost/', { headers }),
    )) as Access
    expect(access.permission({ kind: 'zone', id: 'z' })).toBe('edit')
    for (const [kind, id] of [
      ['account', 'z'],
      ['account', 'a'],
      ['zone', 'a'],
      ['zone', 'Z'],
    ] as const) {
      expect(access.permission({ kind, id })).toBeUndefined()
    }
  })

  test('is refused with the reason that fits', async () => {
    await using setup = await setUp()
    const { secret, other, ask } = setup
    const unknown = `keystay_${randomBytes(32).toString('base64url')}`
    const cases: [Record<string, string>, string | undefined][] = [
      [{}, undefined],
      [{ 'X-Request-Id': secret }, undefined],
      [{ Authorization: '' }, 'token_missing'],
      [{ Authorization: 'Bearer' }, 'token_missing'],
      [{ Authorization: `Basic ${btoa(`ops:${secret}`)}` }, 'token_missing'],
      [{ 'X-Auth-Email': 'ops@example.com', 'X-Auth-Key': '' }, 'token_missing'],
      [{ 'X-Auth-User-Service-Key': '' }, 'token_missing'],
      [{ Authorization: 'Bearer abc' }, 'token_malformed'],
      [{ Authorization: `Bearer ${secret}x` }, 'token_malformed'],
      [{ Authorization: `Bearer ${secret}, Bearer ${secret}` }, 'token_malformed'],
      [{ 'X-Auth-Key': secret }, 'token_header_invalid'],
      [{ 'X-Auth-Email': 'ops@example.com' }, 'token_header_invalid'],
      [
        { 'X-Auth-Email': 'ops@example.com', Authorization: `Bearer ${secret}` },
        'token_header_invalid',
      ],
      [
        { 'X-Auth-User-Service-Key': other, Authorization: `Bearer ${secret}` },
        'token_header_invalid',
      ],
      [{ Authorization: `Bearer ${unknown}` }, 'token_invalid'],
      [{ 'X-Auth-Email': 'dev@example.com', 'X-Auth-Key': secret }, 'token_invalid'],
      [{ 'X-Auth-Email': 'ops@example.com', 'X-Auth-Key': unknown }, 'token_invalid'],
    ]
    for (const [headers, expected] of cases) {
      expect([headers, await ask(headers)]).toEqual([headers, expected])
    }
  })

  test('whose entry is damaged or empty is told so, and others go on', async () => {
    await using setup = await setUp()
    const { path, secret, other, problems, ask } = setup
    await edit(path, ([first, second]) => [
      { ...first, role: 'owner' },
      { ...second, accounts: [] },
    ])
    expect(await ask({ Authorization: `Bearer ${secret}` })).toBe('token_claims_unreadable')
    expect(await ask({ Authorization: `Bearer ${other}` })).toBe('token_claims_missing')
    expect(problems).toEqual([expect.stringContaining('/credentials/0/role must be')])
    await edit(path, ([first, second]) => [
      { ...first, sha256: '' },
      { ...second, accounts: ['a'] },
    ])
    expect(await ask({ Authorization: `Bearer ${secret}` })).toBe('token_invalid')
    expect(await ask({ Authorization: `Bearer ${other}` })).toBe('dev@example.com')
  })
})

describe('the file', () => {
  test('is read again when it changes: what is revoked or added counts at once', async () => {
    await using setup = await setUp()
    const { path, id, secret, ask, authorizer } = setup
    const { secret: added } = await create(path, '--email', 'new@example.com', '--zone', 'z')
    expect(await ask({ Authorization: `Bearer ${added}` })).toBe('new@example.com')
    expect(authorizer.count()).toBe(3)
    await run(['credential', 'revoke', '--credentials', path, id])
    expect(await ask({ Authorization: `Bearer ${secret}` })).toBe('token_invalid')
    expect(authorizer.count()).toBe(2)
  })

  test('that cannot be read any more leaves in force what it said', async () => {
    await using setup = await setUp()
    const { path, secret, problems, ask } = setup
    const before = await readFile(path, 'utf8')
    const headers = { Authorization: `Bearer ${secret}` }
    await writeFile(path, before.slice(0, -20))
    expect([await ask(headers), await ask(headers)]).toEqual(['Ops@Example.com', 'Ops@Example.com'])
    await writeFile(path, before)
    await chmod(path, 0o644)
    expect(await ask(headers)).toBe('Ops@Example.com')
    expect(problems).toEqual([
      expect.stringMatching(/it is not JSON; the credentials read before stay in force$/),
      expect.stringMatching(/chmod 600 .*; the credentials read before stay in force$/),
    ])
    await chmod(path, 0o600)
    expect(await ask(headers)).toBe('Ops@Example.com')
  })

  test.each(['gone', 'empty', 'without entries'])('that is %s lets nobody in', async (how) => {
    await using setup = await setUp()
    const { path, secret, ask } = setup
    const before = await readFile(path, 'utf8')
    const headers = { Authorization: `Bearer ${secret}` }
    if (how === 'gone') await rm(path)
    else if (how === 'empty') await writeFile(path, '')
    else await edit(path, () => [])
    expect(await ask(headers)).toBe('token_invalid')
    await writeFile(path, before, { mode: 0o600 })
    expect(await ask(headers)).toBe('Ops@Example.com')
  })
})
