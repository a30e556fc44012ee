import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, describe, expect, inject, test } from 'vitest'
import { openStore } from '../../src/store/index.ts'
import { parseStoreUri } from '../../src/store/store-uri.ts'
import { create, newScope } from '../../src/testing/store-contract/workbench.ts'
import { createDatabase, runSql } from '../support/postgres.ts'

const directory = mkdtempSync(join(tmpdir(), 'keystay-open-'))
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})
const newFile = (): string => join(directory, `${crypto.randomUUID()}.db`)

describe('store URIs', () => {
  test.each([
    '',
    'keystay.db',
    '/var/lib/keystay.db',
    'sqlite:',
    'sqlite://host/file',
    'sqlite::disk:',
    'sqlite:a\0b',
    'mysql://u:secret@h/d',
    'postgres:host',
    'postgres://u:secret@h:port/d',
    'postgres://u:se#cret@h/d',
    'postgres://u:secret@h/d?max=1',
    'postgres://u:secret@h/d?max=many',
  ])('%j is refused, with the forms there are', async (uri) => {
    const error: unknown = await openStore(uri).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'store_uri_invalid' })
    expect(String(error)).toContain('postgres://USER@HOST')
    expect(String(error)).not.toContain('secret')
  })

  test.each([
    ['postgres://u:secret@h:5433/d', 'postgres://u@h:5433/d'],
    ['postgresql://u:secret@h/d?password=secret&sslmode=verify-full', 'postgresql://u@h/d'],
    [
      'postgres://u:secret@/d?host=/run/postgresql&max=20',
      'postgres://u@/d?host=%2Frun%2Fpostgresql',
    ],
    ['postgres://h/d', 'postgres://h/d'],
  ])('%s is shown as %s', (uri, shown) => {
    const parsed = parseStoreUri(uri)
    expect(parsed).toMatchObject({ engine: 'postgres', shown })
    if (uri.includes('u:secret'))
      expect(parsed).toMatchObject({ address: expect.stringContaining('u:secret@') as string })
    expect(parsed).toMatchObject({ max: uri.includes('max') ? 20 : undefined })
  })
})

describe('a SQLite file', () => {
  test('is created for its user alone, and named by its whole path', async () => {
    const file = newFile()
    await using store = await openStore(`sqlite:${relative(process.cwd(), file)}`)
    expect(store).toMatchObject({ uri: `sqlite:${file}`, durable: true })
    await create(store, newScope())
    for (const suffix of ['', '-wal', '-shm'])
      expect(statSync(file + suffix).mode & 0o777).toBe(0o600)
  })

  test('keeps the promises of its settings', async () => {
    const file = newFile()
    await using store = await openStore(`sqlite:${file}`)
    await store.ping()
    const database = new DatabaseSync(file, { readOnly: true })
    expect(database.prepare('pragma journal_mode').get()).toEqual({ journal_mode: 'wal' })
    database.close()
  })

  test('its directory must exist', async () => {
    const opening = openStore(`sqlite:${join(directory, 'none', 'keystay.db')}`)
    await expect(opening).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('directory does not exist') as string,
    })
  })

  test('is not a directory', async () => {
    await expect(openStore(`sqlite:${directory}`)).rejects.toMatchObject({
      code: 'store_uri_invalid',
    })
  })

  test('what is no database is left as it is', async () => {
    const file = newFile()
    writeFileSync(file, 'these are notes, and not a database, and shall stay\n'.repeat(100))
    const before = readFileSync(file)
    await expect(openStore(`sqlite:${file}`)).rejects.toMatchObject({
      code: 'store_failed',
      message: expect.stringContaining('not a SQLite database') as string,
    })
    expect(readFileSync(file)).toEqual(before)
  })

  test.skipIf(process.getuid?.() === 0)('in a directory without the right to write', async () => {
    const locked = join(directory, 'locked')
    mkdirSync(locked)
    chmodSync(locked, 0o500)
    await expect(openStore(`sqlite:${join(locked, 'keystay.db')}`)).rejects.toMatchObject({
      code: 'store_read_only',
    })
  })

  test('another that writes for long makes calls wait, not fail', async () => {
    const file = newFile()
    await using store = await openStore(`sqlite:${file}`)
    const other = new DatabaseSync(file)
    other.exec('begin immediate')
    const creating = create(store, newScope())
    await new Promise((resolve) => setTimeout(resolve, 500))
    other.exec('rollback')
    other.close()
    await creating
  })
})

describe('a store written by a newer version', () => {
  const NEWER = "insert into kysely_migration (name, timestamp) values ('9999-newer', '2030-01-01')"

  test('in SQLite is refused and left as it is', async () => {
    const file = newFile()
    await (await openStore(`sqlite:${file}`)).close()
    const database = new DatabaseSync(file)
    database.exec(`${NEWER}; drop table backends`)
    database.close()
    const before = readFileSync(file)
    await expect(openStore(`sqlite:${file}`)).rejects.toMatchObject({
      code: 'store_newer',
      message: expect.stringContaining('9999-newer') as string,
    })
    expect(readFileSync(file)).toEqual(before)
  })

  test('in PostgreSQL is refused and left as it is', async () => {
    const uri = await createDatabase(inject('postgres'))
    await (await openStore(uri)).close()
    await runSql(uri, NEWER, 'drop table backends')
    await expect(openStore(uri)).rejects.toMatchObject({ code: 'store_newer' })
    expect(await runSql(uri, "select to_regclass('backends') as found")).toEqual([{ found: null }])
  })
})

describe('what the database itself refuses', () => {
  const FORBIDDEN = [
    "update events set actor = 'nobody'",
    'delete from events',
    "update keys set state = 'scheduled', destroyed_at = 1",
    "update keys set state = 'destroying', lease_owner = 'x', lease_until = 1",
    'delete from keys',
    "update csrs set key_state = 'destroying'",
    "update csrs set scope_kind = 'user'",
    'update scopes set csr_count = -1',
  ]

  test.each(FORBIDDEN)('SQLite: %s', async (statement) => {
    const file = newFile()
    await using store = await openStore(`sqlite:${file}`)
    await create(store, newScope())
    const database = new DatabaseSync(file)
    expect(() => {
      database.exec(statement)
    }).toThrow(/constraint|never changed/)
    database.close()
  })

  test('PostgreSQL, all of it, and to empty the events', async () => {
    const uri = await createDatabase(inject('postgres'))
    await using store = await openStore(uri)
    await create(store, newScope())
    for (const statement of [...FORBIDDEN, 'truncate events']) {
      await expect(runSql(uri, statement), statement).rejects.toThrow(/violates|never changed/)
    }
  })
})

test('PostgreSQL needs the package pg, and says so', async () => {
  const index = join(import.meta.dirname, '../../src/store/index.ts')
  const program = `
    import { registerHooks } from 'node:module'
    registerHooks({
      resolve(specifier, context, next) {
        if (specifier !== 'pg') return next(specifier, context)
        throw Object.assign(new Error('none'), { code: 'ERR_MODULE_NOT_FOUND' })
      },
    })
    const { openStore } = await import('${index}')
    await openStore('sqlite::memory:').then((store) => store.close())
    await openStore('postgres://h/d').catch(({ code, message }) => console.log(code, message))`
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program])
  expect(stdout).toMatch(/^peer_missing .* npm install pg\n$/)
})

test('openStore: an aborted signal rejects with its reason', async () => {
  const reason = new Error('enough')
  for (const uri of ['sqlite::memory:', inject('postgres')]) {
    await expect(openStore(uri, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const controller = new AbortController()
    const opening = openStore(uri, { signal: controller.signal })
    controller.abort(reason)
    await expect(opening).rejects.toBe(reason)
  }
})
