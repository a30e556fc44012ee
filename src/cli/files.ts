import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { link, lstat, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { addAbortSignal } from 'node:stream'
import { KeystayError } from '../errors.ts'
import type { CliIo } from './io.ts'

const MAX_INPUT_BYTES = 1_048_576

/**
 * The content of a file, or of standard input for `-`. Pipes and devices are read like files.
 * @throws {KeystayError} `input_unreadable`, `input_too_large`
 */
export async function readInput(io: CliIo, path: string): Promise<Uint8Array> {
  const name = path === '-' ? 'standard input' : path
  const stream = addAbortSignal(io.signal, path === '-' ? io.stdin : createReadStream(path))
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      chunks.push(chunk)
      length += chunk.length
      if (length > MAX_INPUT_BYTES) break
    }
  } catch (error) {
    io.signal.throwIfAborted()
    throw new KeystayError('input_unreadable', `${name} cannot be read: ${systemReason(error)}`, {
      cause: error,
    })
  }
  if (length <= MAX_INPUT_BYTES) return Buffer.concat(chunks)
  throw new KeystayError('input_too_large', `${name} is larger than 1 MiB, which no request is`)
}

/**
 * The same as text.
 * @throws {KeystayError} `input_unreadable`, also where it is not UTF-8; `input_too_large`
 */
export async function readText(io: CliIo, path: string): Promise<string> {
  const bytes = await readInput(io, path)
  try {
    // A byte order mark at the beginning is not part of the text.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new KeystayError(
      'input_unreadable',
      `${path === '-' ? 'standard input' : path} is not UTF-8; save it as such`,
      { cause: error },
    )
  }
}

/** Where a result goes: proven writable before the work begins, filled in one step after it. */
export interface OutFile {
  /** @throws {KeystayError} `output_exists`, `output_unwritable` */
  commit(text: string): Promise<void>
  /** Leaves nothing behind. */
  discard(): Promise<void>
}

/**
 * Prepares to write a file that must not be there yet, unless `force` is given.
 * @throws {KeystayError} `output_exists`, `output_unwritable`
 */
export async function prepareOutFile(path: string, force: boolean): Promise<OutFile> {
  await checkTarget(path, force)
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}`)
  const file = await open(temporary, 'wx').catch((error: unknown) => {
    throw unwritable(path, error)
  })
  const discard = async (): Promise<void> => {
    await file.close()
    await rm(temporary, { force: true })
  }
  const commit = async (text: string): Promise<void> => {
    try {
      await file.writeFile(text)
      await file.sync()
      await (force ? rename(temporary, path) : place(temporary, path))
    } catch (error) {
      if (error instanceof KeystayError) throw error
      throw isSystemError(error, 'EEXIST') ? exists(path) : unwritable(path, error)
    } finally {
      await discard()
    }
  }
  return { commit, discard }
}

/** Gives a file its name unless the name is taken, in one step where the file system has links. */
async function place(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path)
  } catch (error) {
    if (!isSystemError(error) || !NO_LINKS.has(String(error.code))) throw error
    await checkTarget(path, false)
    await rename(temporary, path)
  }
}

const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'])

async function checkTarget(path: string, force: boolean): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (isSystemError(error, 'ENOENT')) return undefined
    throw unwritable(path, error)
  })
  if (found === undefined) return
  if (!found.isFile()) {
    throw new KeystayError('output_unwritable', `${path} is not a regular file; name a new file`)
  }
  if (!force) throw exists(path)
}

function exists(path: string): KeystayError {
  return new KeystayError(
    'output_exists',
    `${path} exists already; name another file, or add --force to replace it`,
  )
}

function unwritable(path: string, error: unknown): KeystayError {
  return new KeystayError(
    'output_unwritable',
    `${path} cannot be written: ${systemReason(error)}; name a file in a directory that you may write to`,
    { cause: error },
  )
}

/** Whether a system call failed, and so. */
export function isSystemError(error: unknown, code?: string): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && (code === undefined || error.code === code)
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'no such file or directory'],
  ['ENOTDIR', 'a part of the path is not a directory'],
  ['EISDIR', 'it is a directory'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EROFS', 'the file system is read-only'],
  ['ENOSPC', 'the disk is full'],
])

/** Why a system call failed, for people. */
export function systemReason(error: unknown): string {
  const code = isSystemError(error) ? String(error.code) : 'unknown error'
  return REASONS.get(code) ?? code
}
