import { sql } from 'kysely'
import { waitFor } from './abort.ts'
import { creationCalls } from './creation.ts'
import { readCsr } from './csrs.ts'
import type { Database } from './database.ts'
import { deleteCsr } from './deletion.ts'
import type { Engine } from './engine.ts'
import { keyCalls } from './keys.ts'
import { listCsrs } from './list.ts'
import { scopeColumns, toEventRow } from './rows.ts'
import type { Store } from './store.ts'
import { canBeStored } from './text.ts'

function csrCalls(database: Database): Pick<Store, 'getCsr' | 'listCsrs' | 'deleteCsr'> {
  return {
    async getCsr(scope, id) {
      if (!canBeStored(scope.id, id)) return undefined
      return database.single((kysely) => readCsr(kysely, scope, id))
    },
    listCsrs: (scope, query) => listCsrs(database, scope, query),
    deleteCsr: (scope, id, deletion) => deleteCsr(database, scope, id, deletion),
  }
}

function backendCalls(database: Database): Pick<Store, 'rememberBackend' | 'backendAddress'> {
  return {
    async rememberBackend({ uri, address }) {
      await database.single((kysely) =>
        kysely
          .insertInto('backends')
          .values({ uri, address })
          .onConflict((conflict) => conflict.column('uri').doUpdateSet({ address }))
          .execute(),
      )
    },
    async backendAddress(uri) {
      const row = await database.single((kysely) =>
        kysely.selectFrom('backends').select('address').where('uri', '=', uri).executeTakeFirst(),
      )
      return row?.address
    },
  }
}

const listEvents =
  (database: Database): Store['listEvents'] =>
  async (scope, { csrId, after = 0, limit }) => {
    if (!canBeStored(scope.id, csrId)) return []
    const { scope_kind, scope_id } = scopeColumns(scope)
    const rows = await database.single((kysely) =>
      kysely
        .selectFrom('events')
        .selectAll()
        .where('scope_kind', '=', scope_kind)
        .where('scope_id', '=', scope_id)
        .$if(csrId !== undefined, (query) => query.where('csr_id', '=', csrId ?? null))
        .where('sequence', '>', after)
        .orderBy('sequence')
        .limit(limit)
        .execute(),
    )
    return rows.map(toEventRow)
  }

const purge =
  (database: Database): Store['purge'] =>
  (now) =>
    database.write(async (transaction) => {
      const time = now.getTime()
      await transaction.deleteFrom('idempotency').where('expires_at', '<', time).execute()
      await transaction
        .deleteFrom('keys')
        .where('state', '=', sql.lit('scheduled'))
        .where('destroyed_at', '<', time)
        .execute()
    })

const ping =
  (database: Database): Store['ping'] =>
  async ({ signal } = {}) => {
    signal?.throwIfAborted()
    // A table, so that the file is really read.
    const answer = database.single((kysely) =>
      kysely.selectFrom('backends').select('uri').limit(1).execute(),
    )
    await waitFor(answer, signal)
  }

/** The store over a database that has been opened. */
export function createSqlStore({ uri, durable }: Engine, database: Database): Store {
  const close = (): Promise<void> => database.close()
  return {
    uri,
    durable,
    ping: ping(database),
    ...backendCalls(database),
    ...creationCalls(database),
    ...csrCalls(database),
    ...keyCalls(database),
    purge: purge(database),
    listEvents: listEvents(database),
    close,
    [Symbol.asyncDispose]: close,
  }
}
