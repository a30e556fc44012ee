import type { Dialect, Kysely } from 'kysely'
import type { Schema } from './schema.ts'

/**
 * Why a statement failed, as far as it makes a difference:
 * - `conflict`: two transactions were in each other's way; the same again may well pass;
 * - `referenced`: another row refers to the one that was to go, or to change;
 * - `unavailable`: the database does not answer, or not in time;
 * - `refused`: it answers, and does not let us in;
 * - `full`, `read_only`: it cannot write;
 * - `damaged`: the file is not a database, or a damaged one;
 * - `other`: a mistake of ours.
 */
export type FailureReason =
  'conflict' | 'referenced' | 'unavailable' | 'refused' | 'full' | 'read_only' | 'damaged' | 'other'

/** All in which one database differs from another. */
export interface Engine {
  readonly name: EngineName
  /** Names the store, without a password. */
  readonly uri: string
  /** Whether rows outlive this process. */
  readonly durable: boolean
  readonly dialect: Dialect
  /** The dialect for migrations, which may take longer than any call. */
  readonly migrationDialect: Dialect | undefined
  /** Lets one transaction migrate at a time, until it ends. */
  lockMigrations(transaction: Kysely<Schema>): Promise<void>
  reasonOf(error: unknown): FailureReason
}

/** The databases there are. */
export type EngineName = 'sqlite' | 'postgres'
