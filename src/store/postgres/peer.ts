import { KeystayError } from '../../errors.ts'

/** The part of the package `pg` that the store uses. */
export type PgModule = Pick<typeof import('pg'), 'Pool' | 'types'>

/**
 * Loads the optional peer `pg` on first use. A failed import is not remembered, so installing the
 * package is enough to go on.
 * @throws {KeystayError} `peer_missing`
 */
export async function loadPg(): Promise<PgModule> {
  try {
    return (await import('pg')).default
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND'
    throw new KeystayError(
      'peer_missing',
      `stores in PostgreSQL need the package pg, which ${
        missing ? 'is not installed' : 'is installed but does not load'
      }; run: npm install pg`,
      { cause: error },
    )
  }
}
