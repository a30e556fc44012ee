import { mkdtempSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, inject, test } from 'vitest'
import { openStore, type IdempotencyClaim } from '../../src/store/index.ts'
import { begin, newKey, newScope } from '../../src/testing/store-contract/workbench.ts'
import { createDatabase, runSql } from '../support/postgres.ts'

// No call of the store leads here; a restored backup may.

const directory = mkdtempSync(join(tmpdir(), 'keystay-claim-'))
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

async function claimIsFree(uri: string, sql: (text: string) => unknown): Promise<void> {
  await using store = await openStore(uri)
  const scope = newScope()
  const expiresAt = new Date(Date.now() + 60_000)
  const idempotency: IdempotencyClaim = { key: 'key', fingerprint: 'a', expiresAt }
  const { key } = await begin(store, scope, { idempotency })
  await sql(`delete from keys where id = '${key.id}'`)
  const next = newKey(scope, { idempotency: { ...idempotency, fingerprint: 'b' } })
  expect(await store.beginCreation(next)).toEqual({ state: 'begun' })
  const again = newKey(scope, { idempotency: { ...idempotency, fingerprint: 'b' } })
  expect(await store.beginCreation(again)).toMatchObject({
    state: 'in_progress',
    key: { id: next.key.id },
  })
}

test('a claim whose key is gone is free: SQLite', async () => {
  const file = join(directory, 'keystay.db')
  await claimIsFree(`sqlite:${file}`, (text) => {
    const database = new DatabaseSync(file)
    database.exec(text)
    database.close()
  })
})

test('a claim whose key is gone is free: PostgreSQL', async () => {
  const uri = await createDatabase(inject('postgres'))
  await claimIsFree(uri, (text) => runSql(uri, text))
})
