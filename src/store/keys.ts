import { sql, type RawBuilder, type Transaction } from 'kysely'
import type { KeyDestruction } from '../key/backend.ts'
import { undo, type Database } from './database.ts'
import { toKeyRow } from './rows.ts'
import type { Schema } from './schema.ts'
import { appendEvent, lockScope } from './scopes.ts'
import type { KeyState, Lease, Store } from './store.ts'

type KeyCalls = Pick<
  Store,
  | 'renewLease'
  | 'takeOver'
  | 'abandonCreation'
  | 'endDestruction'
  | 'getKey'
  | 'unfinishedKeys'
  | 'newestKey'
>

/** States in the statement itself: only so can SQLite tell that an index of some states will do. */
function states(...names: readonly KeyState[]): RawBuilder<KeyState> {
  return sql<KeyState>`(${sql.join(names.map((name) => sql.lit(name)))})`
}

const UNFINISHED = states('creating', 'destroying')

function leaseColumns({ owner, until }: Lease): { lease_owner: string; lease_until: number } {
  return { lease_owner: owner, lease_until: until.getTime() }
}

async function renewLease(database: Database, keyId: string, lease: Lease): Promise<boolean> {
  const renewed = await database.single((kysely) =>
    kysely
      .updateTable('keys')
      .set(leaseColumns(lease))
      .where('id', '=', keyId)
      .where('lease_owner', '=', lease.owner)
      .where('state', 'in', UNFINISHED)
      .returning('id')
      .executeTakeFirst(),
  )
  return renewed !== undefined
}

const takeOver =
  (database: Database): Store['takeOver'] =>
  async (keyId, lease, now) => {
    const row = await database.single((kysely) =>
      kysely
        .updateTable('keys')
        .set(leaseColumns(lease))
        .where('id', '=', keyId)
        .where('state', 'in', UNFINISHED)
        .where('lease_until', '<', now.getTime())
        .returningAll()
        .executeTakeFirst(),
    )
    return row && toKeyRow(row)
  }

async function abandonCreation(database: Database, keyId: string, lease: Lease): Promise<boolean> {
  return database.write(async (transaction) => {
    const abandoned = await transaction
      .updateTable('keys')
      .set({ state: 'destroying', ...leaseColumns(lease) })
      .where('id', '=', keyId)
      .where('state', '=', 'creating')
      .where('lease_owner', '=', lease.owner)
      .returning('id')
      .executeTakeFirst()
    if (abandoned === undefined) return false
    await transaction
      .deleteFrom('idempotency')
      .where('key_id', '=', keyId)
      .where('csr_id', 'is', null)
      .execute()
    return true
  })
}

/** Ends a destruction. @returns whether there was one: others may have been faster */
async function settle(
  transaction: Transaction<Schema>,
  keyId: string,
  destruction: KeyDestruction,
): Promise<boolean> {
  if (destruction.state === 'destroyed') {
    const { numDeletedRows } = await transaction
      .deleteFrom('keys')
      .where('id', '=', keyId)
      .where('state', '=', 'destroying')
      .executeTakeFirst()
    return numDeletedRows > 0n
  }
  const { numUpdatedRows } = await transaction
    .updateTable('keys')
    .set({
      state: 'scheduled',
      destroyed_at: destruction.at.getTime(),
      lease_owner: null,
      lease_until: null,
    })
    .where('id', '=', keyId)
    .where('state', '=', 'destroying')
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

const endDestruction =
  (database: Database): Store['endDestruction'] =>
  (keyId, destruction, event) =>
    database.write(async (transaction) => {
      if (event !== undefined) await lockScope(transaction, event.scope, 0)
      if (!(await settle(transaction, keyId, destruction))) return undo(undefined)
      if (event !== undefined) await appendEvent(transaction, event)
    })

const getKey =
  (database: Database): Store['getKey'] =>
  async (keyId) => {
    const row = await database.single((kysely) =>
      kysely.selectFrom('keys').selectAll().where('id', '=', keyId).executeTakeFirst(),
    )
    return row && toKeyRow(row)
  }

const unfinishedKeys =
  (database: Database): Store['unfinishedKeys'] =>
  async ({ now, limit }) => {
    const rows = await database.single((kysely) =>
      kysely
        .selectFrom('keys')
        .selectAll()
        .where('state', 'in', UNFINISHED)
        .where('lease_until', '<', now.getTime())
        .orderBy('created_at')
        .orderBy('id')
        .limit(limit)
        .execute(),
    )
    return rows.map(toKeyRow)
  }

const newestKey =
  (database: Database): Store['newestKey'] =>
  async (backend) => {
    const row = await database.single((kysely) =>
      kysely
        .selectFrom('keys')
        .selectAll()
        .where('backend', '=', backend)
        .where('state', '=', 'assigned')
        .orderBy('created_at', 'desc')
        .limit(1)
        .executeTakeFirst(),
    )
    return row && toKeyRow(row)
  }

/** The part of the store that follows keys through their life. */
export function keyCalls(database: Database): KeyCalls {
  return {
    renewLease: (keyId, lease) => renewLease(database, keyId, lease),
    takeOver: takeOver(database),
    abandonCreation: (keyId, lease) => abandonCreation(database, keyId, lease),
    endDestruction: endDestruction(database),
    getKey: getKey(database),
    unfinishedKeys: unfinishedKeys(database),
    newestKey: newestKey(database),
  }
}
