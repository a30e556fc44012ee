import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, inject, test } from 'vitest'
import { openStore } from '../../src/store/index.ts'
import { countOf } from '../../src/testing/store-contract/workbench.ts'
import { createDatabase } from '../support/postgres.ts'

const run = promisify(execFile)
const PROGRAM = join(import.meta.dirname, 'open-together.ts')
const PROCESSES = 10

const directory = mkdtempSync(join(tmpdir(), 'keystay-together-'))
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

async function openTogether(uri: string): Promise<void> {
  // Late enough for all of them to have started, so that they open at the same moment.
  const start = String(Date.now() + 4000)
  const processes = Array.from({ length: PROCESSES }, () =>
    run(process.execPath, [PROGRAM, uri, start]),
  )
  for (const { stderr } of await Promise.all(processes)) expect(stderr).toBe('')
  await using store = await openStore(uri)
  expect(await countOf(store, { kind: 'zone', id: 'together' })).toBe(PROCESSES)
}

describe('ten processes open a new store at once', () => {
  test('in a SQLite file', () => openTogether(`sqlite:${join(directory, 'new.db')}`))
  test('in PostgreSQL', async () => openTogether(await createDatabase(inject('postgres'))))
})

test('a process with an idle store in a file ends by itself', async () => {
  const uri = `sqlite:${join(directory, 'idle.db')}`
  const index = join(import.meta.dirname, '../../src/store/index.ts')
  const program = `import { openStore } from '${index}'; await openStore('${uri}')`
  await run(process.execPath, ['--input-type=module', '--eval', program], { timeout: 30_000 })
})
