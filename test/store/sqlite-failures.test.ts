import { mkdtempSync, rmSync, truncateSync, statSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openStore } from '../../src/store/index.ts'
import { createConnection } from '../../src/store/sqlite/connection.ts'
import { readResultCode, reasonOfResultCode } from '../../src/store/sqlite/result-codes.ts'
import { startSqliteThread } from '../../src/store/sqlite/thread.ts'
import { countOf, create, newScope } from '../../src/testing/store-contract/workbench.ts'

const directory = mkdtempSync(join(tmpdir(), 'keystay-sqlite-'))
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})
const newFile = (): string => join(directory, `${crypto.randomUUID()}.db`)

function failure(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    return reasonOfResultCode(readResultCode(error) ?? -1)
  }
  return 'none'
}

test('a disk without room: the transaction is undone, and the connection goes on', () => {
  const connection = createConnection()
  const run = (sql: string): unknown => connection.perform({ id: 1, sql, parameters: [] })
  connection.perform({ id: 1, open: { file: newFile(), busyTimeoutMs: 0 } })
  run('create table t (x blob)')
  run('pragma max_page_count = 10')
  run('begin immediate')
  expect(failure(() => run('insert into t values (zeroblob(100000))'))).toBe('full')
  connection.perform({ id: 1, rollback: true })
  connection.perform({ id: 1, rollback: true })
  run('begin immediate')
  run('insert into t values (1)')
  run('commit')
  expect(run('select count(*) as n from t')).toMatchObject({ rows: [{ n: 1 }] })
  connection.perform({ id: 1, close: true })
})

test('a database that may only be read', () => {
  const database = new DatabaseSync(':memory:')
  database.exec('create table t (x); pragma query_only = on')
  expect(
    failure(() => {
      database.exec('insert into t values (1)')
    }),
  ).toBe('read_only')
})

test('another that holds the file for too long: try again', async () => {
  const file = newFile()
  await (await openStore(`sqlite:${file}`)).close()
  const other = new DatabaseSync(file)
  other.exec('begin immediate')
  const thread = await startSqliteThread({ file, busyTimeoutMs: 50 })
  const waiting = thread.ask({ sql: 'begin immediate', parameters: [] })
  const error: unknown = await waiting.catch((reason: unknown) => reason)
  expect(reasonOfResultCode((error as { resultCode: number }).resultCode)).toBe('unavailable')
  await thread.close()
  other.close()
})

test('a damaged file', async () => {
  const file = newFile()
  const scope = newScope()
  const store = await openStore(`sqlite:${file}`)
  await create(store, scope)
  await store.close()
  const { size } = statSync(file)
  truncateSync(file, 8192)
  writeFileSync(file, Buffer.alloc(size - 4096, 7), { flag: 'r+', flush: true })
  await expect(openStore(`sqlite:${file}`)).rejects.toMatchObject({ code: 'store_failed' })
})

test('a SAN list as long as a request can hold', async () => {
  await using store = await openStore('sqlite::memory:')
  const scope = newScope()
  const sans = Array.from({ length: 2500 }, (_, index) => `h${index}.example.com`)
  await create(store, scope, { sans })
  const query = { orderBy: 'name', direction: 'asc', offset: 0, limit: 1 } as const
  const page = await store.listCsrs(scope, { ...query, filter: { san: 'H2499.example.com' } })
  expect(page.rows[0]?.sans).toEqual(sans)
  expect(await countOf(store, scope)).toBe(1)
})
