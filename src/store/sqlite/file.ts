import { closeSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { KeystayError, type ErrorCode } from '../../errors.ts'

/** Only the user whom the service runs as: rows name customers. */
const MODE = 0o600

const PROBLEMS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOENT: ['store_unavailable', 'its directory does not exist; create it'],
  ENOTDIR: ['store_unavailable', 'what should be its directory is a file'],
  EACCES: ['store_read_only', 'this user may not create it there; give it the right to write'],
  EPERM: ['store_read_only', 'this user may not create it there; give it the right to write'],
  EROFS: ['store_read_only', 'the file system is read-only; choose another directory'],
  ENOSPC: ['store_full', 'the file system is full'],
  EDQUOT: ['store_full', 'the file system’s quota is used up'],
  ENAMETOOLONG: ['store_uri_invalid', 'its name is too long'],
}

/**
 * Creates an empty database file that only this user can read, unless there is a file.
 *
 * Opens and closes in one go, and never a file that is there: to close a file ends all of the
 * process's POSIX locks on it, also those of an open database.
 * @throws {KeystayError} `store_unavailable`, `store_read_only`, `store_full`, `store_uri_invalid`
 */
export function createFile(file: string, uri: string): void {
  try {
    closeSync(openSync(file, 'wx', MODE))
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') {
      refuseDirectory(file, uri)
      return
    }
    const [keystayCode, problem] = PROBLEMS[code] ?? ['store_unavailable', `it failed with ${code}`]
    throw new KeystayError(
      keystayCode,
      `the store ${uri} cannot be created in ${dirname(file)}: ${problem}`,
      { cause: error },
    )
  }
}

function refuseDirectory(file: string, uri: string): void {
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() !== true) return
  throw new KeystayError(
    'store_uri_invalid',
    `the store ${uri} is a directory; name a file in it, for instance ${uri}/keystay.db`,
  )
}
