import { sql, type Kysely } from 'kysely'
import type { EngineName } from '../engine.ts'

/** Makes the database itself refuse to change or delete a table's rows. */
export async function refuseChanges(
  database: Kysely<unknown>,
  engine: EngineName,
  table: string,
): Promise<void> {
  const name = `${table}_append_only`
  const message = sql.lit(`${table} are never changed or deleted`)
  if (engine === 'sqlite') {
    for (const change of ['update', 'delete']) {
      await sql`create trigger ${sql.ref(`${name}_${change}`)} before ${sql.raw(change)}
        on ${sql.table(table)} begin select raise(abort, ${message}); end`.execute(database)
    }
    return
  }
  await sql`create function ${sql.ref(name)}() returns trigger language plpgsql as
    ${sql.raw(`$$ begin raise exception '${table} are never changed or deleted'; end $$`)}`.execute(
    database,
  )
  await sql`create trigger ${sql.ref(name)} before update or delete or truncate
    on ${sql.table(table)} for each statement execute function ${sql.ref(name)}()`.execute(database)
}
