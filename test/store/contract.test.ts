import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, inject, test } from 'vitest'
import { openStore } from '../../src/store/index.ts'
import { registerContract, storeContract } from '../../src/testing/index.ts'
import { createDatabase } from '../support/postgres.ts'
import { bindInPostgres, bindInSqlite } from '../support/bind-hostnames.ts'

describe('in a SQLite file', () => {
  let directory = ''
  const file = (): string => join(directory, 'keystay.db')
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'keystay-store-'))
  })
  afterAll(() => {
    rmSync(directory, { recursive: true, force: true })
  })
  const cases = storeContract(() => openStore(`sqlite:${file()}`), {
    bind: (csr, hostnames) => bindInSqlite(file())(csr, hostnames),
  })
  registerContract(test, cases)
})

describe('in SQLite in memory', () => {
  registerContract(
    test,
    storeContract(() => openStore('sqlite::memory:')),
  )
})

describe('in PostgreSQL', () => {
  let uri = ''
  beforeAll(async () => {
    uri = await createDatabase(inject('postgres'))
  })
  const cases = storeContract(() => openStore(uri), {
    bind: (csr, hostnames) => bindInPostgres(uri)(csr, hostnames),
  })
  registerContract(test, cases)
})
