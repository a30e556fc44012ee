import { createServer, type AddressInfo } from 'node:net'
import { afterAll, describe, expect, inject, test } from 'vitest'
import { openStore } from '../../src/store/index.ts'
import { createPool } from '../../src/store/postgres/pool.ts'
import { reasonOfPgError } from '../../src/store/postgres/sql-states.ts'
import { countOf, create, newScope } from '../../src/testing/store-contract/workbench.ts'
import { createDatabase, runSql, startPostgres } from '../support/postgres.ts'
import pg from 'pg'

describe('a server that fails', () => {
  test('is lost and comes back: calls fail, then work again, and what was answered is there', async () => {
    const server = await startPostgres()
    try {
      await using store = await openStore(server.uri)
      const scope = newScope()
      const row = await create(store, scope)
      const running = Array.from({ length: 60 }, () => create(store, scope))
      const settled = Promise.allSettled(running)
      await Promise.any(running)
      await server.kill()
      const outcomes = await settled
      for (const outcome of outcomes.filter(({ status }) => status === 'rejected')) {
        expect(outcome).toMatchObject({ reason: { code: 'store_unavailable' } })
      }
      await expect(store.ping()).rejects.toMatchObject({ code: 'store_unavailable' })
      await server.start()
      await store.ping()
      expect(await store.getCsr(scope, row.id)).toEqual(row)
      const answered = outcomes.filter(({ status }) => status === 'fulfilled').length
      expect(await countOf(store, scope)).toBeGreaterThanOrEqual(1 + answered)
    } finally {
      await server.stop()
    }
  })

  test('ends connections one by one: nothing crashes, and calls go on', async () => {
    const uri = await createDatabase(inject('postgres'))
    await using store = await openStore(uri)
    const scope = newScope()
    await Promise.all(Array.from({ length: 10 }, () => create(store, scope)))
    await runSql(
      uri,
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid()`,
    )
    // Some calls may find out the hard way; a second try does not.
    await store.ping().catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(await countOf(store, scope)).toBe(10)
  })

  test('is not there at all', async () => {
    const gone = createServer()
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve))
    const { port } = gone.address() as AddressInfo
    await new Promise((resolve) => gone.close(resolve))
    const opening = openStore(`postgres://u:secret@127.0.0.1:${port}/d`)
    await expect(opening).rejects.toMatchObject({ code: 'store_unavailable' })
    const error: unknown = await opening.catch((reason: unknown) => reason)
    expect(String(error)).toContain(`postgres://u@127.0.0.1:${port}/d`)
    expect(String(error)).not.toContain('secret')
  })

  test('has no such database', async () => {
    const uri = new URL(inject('postgres'))
    uri.pathname = '/none'
    await expect(openStore(uri.href)).rejects.toMatchObject({ code: 'store_failed' })
  })

  test('does not answer: calls end, and the connection is not used again', async () => {
    const uri = await createDatabase(inject('postgres'))
    const pool = createPool(pg, uri, 1, { connectMs: 1000, statementMs: 200, silenceMs: 200 })
    const client = await pool.connect()
    const slow = await client.query('select pg_sleep(30)', []).catch((error: unknown) => error)
    expect(reasonOfPgError(slow)).toBe('unavailable')
    client.release()
    const mute = await pool.connect()
    // As a server that has stopped: it takes the statement, and the time limit of its own is off.
    await mute.query('set statement_timeout = 0', [])
    const silent = await mute.query('select pg_sleep(3)', []).catch((error: unknown) => error)
    expect(reasonOfPgError(silent)).toBe('unavailable')
    await expect(mute.query('select 1', [])).rejects.toBe(silent)
    mute.release()
    const next = await pool.connect()
    expect((await next.query<{ one: number }>('select 1::int8 as one', [])).rows).toEqual([
      { one: 1 },
    ])
    next.release()
    await pool.end()
  })
})

describe('transactions in each other’s way', () => {
  let uri = ''
  afterAll(async () => {
    await runSql(uri, 'drop trigger clash on keys')
  })

  test('are tried again', async () => {
    uri = await createDatabase(inject('postgres'))
    await using store = await openStore(uri)
    // The first three attempts of every creation fail as a deadlock does.
    await runSql(
      uri,
      'create sequence attempts',
      `create function clash() returns trigger language plpgsql as $$ begin
         if nextval('attempts') % 4 <> 0 then raise exception using errcode = '40P01'; end if;
         return new;
       end $$`,
      'create trigger clash before update on keys for each row execute function clash()',
    )
    const scope = newScope()
    await create(store, scope)
    expect(await countOf(store, scope)).toBe(1)
    expect(await store.listEvents(scope, { limit: 10 })).toHaveLength(1)
  })
})
