import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { EngineName } from '../engine.ts'
import { createInitialSchema } from './0001-initial.ts'

type Change = (database: Kysely<unknown>, engine: EngineName) => Promise<void>

/** By name, in the order in which they run. What has been released is never changed. */
const CHANGES: Readonly<Record<string, Change>> = {
  '0001-initial': createInitialSchema,
}

/** Names of the migrations that this version knows, in their order. */
export const MIGRATION_NAMES: readonly string[] = Object.keys(CHANGES)

/** The migrations as they run on an engine. */
export function migrationsFor(engine: EngineName): Record<string, Migration> {
  return Object.fromEntries(
    Object.entries(CHANGES).map(([name, change]) => [
      name,
      { up: (database: Kysely<unknown>) => change(database, engine) },
    ]),
  )
}
