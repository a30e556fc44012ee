import { randomUUID } from 'node:crypto'
import { closeSync, fstatSync, openSync, readFileSync, type BigIntStats } from 'node:fs'
import { open, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { KeystayError } from '../../errors.ts'
import { isSystemError, systemReason } from '../files.ts'
import {
  formatCredentials,
  parseCredentials,
  type Credential,
  type CredentialEntry,
} from './credential.ts'
import { withFileLock, type FileLock } from './file-lock.ts'

/** A file as it was at one time. */
export interface CredentialFile {
  readonly entries: readonly CredentialEntry[]
  /** Differs as soon as the file is another one, or has been written to. */
  readonly version: string
}

/** What tells one state of a file from the next. */
export function fileVersion({ dev, ino, size, mtimeNs, ctimeNs, mode }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs, mode].join(':')
}

/** Nobody could use the service: says how to change that. */
export function credentialsMissing(path: string, cause?: unknown): KeystayError {
  return new KeystayError(
    'credentials_missing',
    `there are no credentials in ${path}; make some: keystay credential create --credentials ${inShell(path)} --email you@example.com --zone ZONE_ID --role edit`,
    { cause },
  )
}

/** A path as it can be pasted. */
function inShell(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}

/**
 * Reads a file of credentials. Synchronously: it is small and local, and whoever reads it again on a
 * request must not answer by what it was before.
 * @throws {KeystayError} `credentials_missing` (also for an empty file), `credentials_exposed`,
 *   `credentials_invalid`, `input_unreadable`
 */
export function readCredentialFile(path: string): CredentialFile {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch (error) {
    throw isSystemError(error, 'ENOENT') ? credentialsMissing(path, error) : unreadable(path, error)
  }
  try {
    const found = fstatSync(descriptor, { bigint: true })
    if (!found.isFile()) {
      throw new KeystayError('credentials_invalid', `${path} is not a regular file`)
    }
    checkPrivate(path, found)
    const text = readFileSync(descriptor, 'utf8')
    if (text.trim() === '') throw credentialsMissing(path)
    return { entries: parseCredentials(path, text), version: fileVersion(found) }
  } catch (error) {
    throw error instanceof KeystayError ? error : unreadable(path, error)
  } finally {
    closeSync(descriptor)
  }
}

function unreadable(path: string, error: unknown): KeystayError {
  return new KeystayError('input_unreadable', `${path} cannot be read: ${systemReason(error)}`, {
    cause: error,
  })
}

/** @throws {KeystayError} `credentials_exposed` */
function checkPrivate(path: string, { mode }: BigIntStats): void {
  const bits = Number(mode) & 0o777
  // Windows has no such bits: its access lists are for the administrator to check.
  if (process.platform === 'win32' || (bits & 0o077) === 0) return
  throw new KeystayError(
    'credentials_exposed',
    `${path} is open to others than its owner (mode 0${bits.toString(8)}); run: chmod 600 ${inShell(path)}`,
  )
}

/**
 * All credentials of a file, none of them damaged.
 * @throws {KeystayError} `credentials_missing`, `credentials_exposed`, `credentials_invalid`,
 *   `input_unreadable`
 */
export function readCredentials(path: string): readonly Credential[] {
  return readCredentialFile(path).entries.map(({ credential, problem }) => {
    if (credential !== undefined) return credential
    throw new KeystayError(
      'credentials_invalid',
      `${path} is damaged: ${problem ?? 'an entry cannot be read'}; restore it, or remove that entry`,
    )
  })
}

/**
 * Changes a file in one step, under a lock: several may do so at once, and none loses what another
 * wrote. Whoever reads meanwhile sees it as it was before, or after.
 * @throws {KeystayError} what `readCredentials` throws, but for a missing file; `output_unwritable`
 */
export async function changeCredentials(
  path: string,
  change: (credentials: readonly Credential[]) => readonly Credential[],
): Promise<void> {
  // The file itself, not a link to it: the link must stay one.
  const target = await realpath(path).catch(() => resolve(path))
  try {
    await withFileLock(`${target}.lock`, async (lock) => {
      await replaceFile(target, formatCredentials(change(readOrNone(target))), lock)
    })
  } catch (error) {
    if (error instanceof KeystayError) throw error
    throw new KeystayError(
      'output_unwritable',
      `${path} cannot be written: ${systemReason(error)}; name a file in a directory that you may write to`,
      { cause: error },
    )
  }
}

function readOrNone(path: string): readonly Credential[] {
  try {
    return readCredentials(path)
  } catch (error) {
    if (error instanceof KeystayError && error.code === 'credentials_missing') return []
    throw error
  }
}

async function replaceFile(path: string, text: string, lock: FileLock): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}`)
  try {
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await keepOwner(file, path)
      await file.sync()
    } finally {
      await file.close()
    }
    await lock.check()
    await rename(temporary, path)
  } finally {
    await rm(temporary, { force: true })
  }
  await syncDirectory(dirname(path))
}

/** The server often runs as another user than the administrator who adds a credential. */
async function keepOwner(file: FileHandle, path: string): Promise<void> {
  const before = await stat(path).catch(() => undefined)
  if (before === undefined) return
  const now = await file.stat()
  if (now.uid !== before.uid || now.gid !== before.gid) await file.chown(before.uid, before.gid)
}

async function syncDirectory(path: string): Promise<void> {
  // Some file systems do not sync directories; the file itself is safe by then.
  const directory = await open(path, 'r').catch(() => undefined)
  await directory?.sync().catch(() => undefined)
  await directory?.close()
}
