import { randomUUID } from 'node:crypto'
import type { Stats } from 'node:fs'
import { mkdir, open, readFile, readdir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { KeystayError } from '../../src/errors.ts'

const STAGING_PREFIX = 'tmp-'
/** Nobody takes this long from the first byte of a file to its publication, unless killed. */
const STAGING_LIFETIME_MS = 60_000

/** The errno of a file-system error. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}

/** A failed system call as the error of a backend. */
export function storageError(what: string, path: string, error: unknown): KeystayError {
  return new KeystayError(
    'backend_unavailable',
    `cannot ${what} ${path} (${errnoOf(error) ?? 'unknown error'}); check that the directory exists, is writable and has space`,
    { cause: error },
  )
}

/** Has a directory's entries on the disk, not only in its cache. */
async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Creates a directory for its owner alone where there is none, and refuses one that others can
 * enter.
 * @throws {KeystayError} `keyring_directory_invalid`, `keyring_directory_exposed`,
 *   `backend_unavailable`
 */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  if (await checkPrivateDirectory(path)) return
  try {
    await makeDirectory(path)
  } catch (error) {
    throw storageError('create', path, error)
  }
  await checkPrivateDirectory(path)
}

/**
 * Creates a directory and those above it. Not by the `recursive` of `mkdir`, which never returns
 * where the system says ENOENT though the parent exists (below /proc).
 */
async function makeDirectory(path: string): Promise<void> {
  const parent = dirname(path)
  const parentExists = await stat(parent).then(
    () => true,
    () => false,
  )
  if (!parentExists) await makeDirectory(parent)
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    // Another process was faster.
    if (errnoOf(error) === 'EEXIST') return
    throw error
  }
  // A parent that may be passed through but not be read cannot be synced either.
  await syncDirectory(parent).catch(() => undefined)
}

function notDirectory(path: string, cause?: unknown): KeystayError {
  return new KeystayError(
    'keyring_directory_invalid',
    `${path} is not a directory; name one, or one that does not exist yet`,
    { cause },
  )
}

/**
 * Refuses a directory that others than its owner can enter.
 * @returns false where there is none
 * @throws {KeystayError} `keyring_directory_invalid`, `keyring_directory_exposed`,
 *   `backend_unavailable`
 */
export async function checkPrivateDirectory(path: string): Promise<boolean> {
  let found: Stats
  try {
    found = await stat(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    if (errnoOf(error) === 'ENOTDIR') throw notDirectory(path, error)
    throw storageError('read', path, error)
  }
  if (!found.isDirectory()) throw notDirectory(path)
  const mode = found.mode & 0o777
  // Windows has no such bits: its access lists are for the administrator to check.
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new KeystayError(
      'keyring_directory_exposed',
      `${path} can be entered by others than its owner (mode 0${mode.toString(8)}); run: chmod 700 ${path}`,
    )
  }
  return true
}

/**
 * Publishes a directory that holds one file, at once or not at all: it is filled and synced under
 * another name, then renamed. Two processes cannot both succeed, because rename(2) refuses to
 * replace a directory that is not empty.
 * @returns false where there is one of that name already
 */
export async function publishFile(
  root: string,
  name: string,
  file: string,
  content: string,
): Promise<boolean> {
  const staging = join(root, `${STAGING_PREFIX}${randomUUID()}`)
  try {
    await mkdir(staging, { mode: 0o700 })
    const handle = await open(join(staging, file), 'wx', 0o600)
    try {
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await syncDirectory(staging)
    await rename(staging, join(root, name))
    await syncDirectory(root)
    return true
  } catch (error) {
    await rm(staging, { recursive: true, force: true })
    if (['ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) return false
    throw storageError('write in', root, error)
  }
}

/**
 * Removes a published file for good. An empty directory that is left behind is as good as none.
 * @returns false where there is none
 */
export async function removeFile(root: string, name: string, file: string): Promise<boolean> {
  const directory = join(root, name)
  try {
    await unlink(join(directory, file))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw storageError('remove a key from', directory, error)
  }
  try {
    await syncDirectory(directory)
    // Where another process has published its own file meanwhile this fails, rightly.
    await rmdir(directory)
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(errnoOf(error) ?? '')) {
      throw storageError('remove a key from', directory, error)
    }
  }
  return true
}

/** The content of a file, or `undefined` where there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw storageError('read', path, error)
  }
}

/** The names in a directory, none where it is absent. */
export async function namesIn(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw storageError('read', path, error)
  }
}

/** Removes what processes that were killed while they wrote have left behind. */
export async function removeLeftovers(root: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (!name.startsWith(STAGING_PREFIX)) continue
    const path = join(root, name)
    const found = await stat(path).catch(() => undefined)
    if (found === undefined || Date.now() - found.mtimeMs < STAGING_LIFETIME_MS) continue
    await rm(path, { recursive: true, force: true })
  }
}
