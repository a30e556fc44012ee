import type { TestProject } from 'vitest/node'
import { startPostgres } from './postgres.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** URI of a PostgreSQL server that all test files share; see `createDatabase`. */
    readonly postgres: string
  }
}

/** Starts one PostgreSQL server for a whole run of the tests. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await startPostgres()
  project.provide('postgres', postgres.uri)
  return () => postgres.stop()
}
