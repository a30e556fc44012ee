import { mkdtempSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, inject, test } from 'vitest'
import { openStore, type CsrQuery, type Scope, type Store } from '../../src/store/index.ts'
import { begin, create, finish, remove } from '../../src/testing/store-contract/workbench.ts'
import { createDatabase, runSql } from '../support/postgres.ts'
import { fillStatements } from './fill.ts'

// A million rows take minutes to fill: KEYSTAY_TEST_ROWS=1000000 vitest run test/store/large
const ROWS = Number(process.env.KEYSTAY_TEST_ROWS ?? 20_000)
const SMALL = 1000
/** A quarter of a second, where the full size was asked for. */
const LIMIT_MS = ROWS >= 1_000_000 ? 250 : Infinity
const HOUR_MS = 3_600_000

const big: Scope = { kind: 'zone', id: 'big' }
const small: Scope = { kind: 'zone', id: 'small' }

type Query = Partial<CsrQuery>
type RunSql = (...statements: readonly string[]) => Promise<readonly Record<string, unknown>[]>

interface Filled {
  readonly store: Store
  readonly sql: RunSql
}

function list(store: Store, scope: Scope, query: Query): ReturnType<Store['listCsrs']> {
  return store.listCsrs(scope, {
    orderBy: 'created_at',
    direction: 'asc',
    offset: 0,
    limit: 20,
    ...query,
  })
}

async function median(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let run = 0; run < 9; run++) {
    const start = performance.now()
    await work()
    times.push(performance.now() - start)
  }
  return times.toSorted((a, b) => a - b)[4] ?? NaN
}

async function createOne(store: Store, scope: Scope): Promise<unknown> {
  return store.completeCreation(finish(await begin(store, scope, { quota: 10 * ROWS })))
}

/** What a person waits for, on a scope of a size. */
async function measure(store: Store, scope: Scope, rows: number): Promise<Record<string, number>> {
  const middle = Math.floor(rows / 2)
  const [first] = (await list(store, scope, {})).rows
  const timed: Record<string, () => Promise<unknown>> = {
    'page 1': () => list(store, scope, {}),
    'page 1, by name': () => list(store, scope, { orderBy: 'name' }),
    middle: () => list(store, scope, { offset: middle }),
    'middle, descending': () => list(store, scope, { offset: middle, direction: 'desc' }),
    last: () => list(store, scope, { offset: rows - 20 }),
    'middle, by name': () => list(store, scope, { offset: middle, orderBy: 'name' }),
    'by common name': () => list(store, scope, { filter: { commonName: 'h77.example.com' } }),
    'by SAN': () => list(store, scope, { filter: { san: 'h77.example.com' } }),
    get: () => store.getCsr(scope, first?.id ?? ''),
    create: () => createOne(store, scope),
  }
  const figures: Record<string, number> = {}
  for (const [name, work] of Object.entries(timed)) figures[name] = await median(work)
  return figures
}

function holds(name: string, fill: () => Promise<Filled>): void {
  describe(`${ROWS} rows in ${name}`, () => {
    let filled: Filled | undefined
    const use = async (): Promise<Filled> => (filled ??= await fill())
    afterAll(async () => {
      await filled?.store.close()
    })

    test(
      'deep pages are the rows that they should be',
      async () => {
        const { store, sql } = await use()
        for (let count = 0; count < 5; count++) {
          const createdAt = new Date(1_700_000_000_000 + count * 10 * HOUR_MS - 20 * HOUR_MS)
          await create(store, big, { createdAt, name: 'later' })
        }
        const middle = Math.floor(ROWS / 2)
        for (const offset of [0, 3, ROWS - 7, middle]) {
          const { rows } = await list(store, big, { offset, limit: 1 })
          await remove(store, big, rows[0]?.id ?? '')
        }
        for (const direction of ['asc', 'desc'] as const) {
          for (const offset of [29, 31, 999, middle - 3, middle, ROWS - 25, ROWS, ROWS + 1]) {
            const expected = await sql(
              `select id from csrs where scope_kind = 'zone' and scope_id = 'big'
               order by created_at ${direction}, id ${direction} limit 20 offset ${offset}`,
            )
            const { rows, total } = await list(store, big, { offset, direction })
            const ids = rows.map(({ id }) => id)
            expect(ids, `${direction} from ${offset}`).toEqual(expected.map(({ id }) => id))
            expect(total).toBe(ROWS + 1)
          }
        }
      },
      20 * 60_000,
    )

    test(
      'a page, a get and a create cost what they cost among 1,000',
      async () => {
        const { store } = await use()
        const few = await measure(store, small, SMALL)
        const many = await measure(store, big, ROWS)
        const table = Object.entries(many).map(([what, ms]) => [
          what,
          { [`${SMALL} rows`]: few[what]?.toFixed(1), [`${ROWS} rows`]: ms.toFixed(1) },
        ])
        console.log(`${name}, medians in ms`)
        console.table(Object.fromEntries(table))
        for (const [what, ms] of Object.entries(many)) expect(ms, what).toBeLessThan(LIMIT_MS)
      },
      20 * 60_000,
    )
  })
}

const directory = mkdtempSync(join(tmpdir(), 'keystay-large-'))
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

holds('SQLite', async () => {
  const file = join(directory, 'keystay.db')
  const store = await openStore(`sqlite:${file}`)
  const sql: RunSql = async (...statements) => {
    const database = new DatabaseSync(file, { timeout: 60_000 })
    try {
      database.exec('pragma synchronous = off; pragma cache_size = -500000')
      let rows: readonly Record<string, unknown>[] = []
      for (const statement of statements) rows = database.prepare(statement).all()
      return rows
    } finally {
      database.close()
    }
  }
  await sql(...fillStatements('sqlite', { zoneId: 'big', rows: ROWS }))
  await sql(...fillStatements('sqlite', { zoneId: 'small', rows: SMALL }))
  return { store, sql }
})

holds('PostgreSQL', async () => {
  const uri = await createDatabase(inject('postgres'))
  const store = await openStore(uri)
  await runSql(uri, ...fillStatements('postgres', { zoneId: 'big', rows: ROWS }))
  await runSql(uri, ...fillStatements('postgres', { zoneId: 'small', rows: SMALL }))
  // What the server does of its own accord within a minute.
  await runSql(uri, 'vacuum (analyze) csrs', 'vacuum (analyze) csr_sans', 'analyze')
  return { store, sql: (...statements) => runSql(uri, ...statements) }
})
