import { randomUUID } from 'node:crypto'
import { link, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { KeystayError } from '../../errors.ts'
import { isSystemError } from '../files.ts'

/** A lock that is held. */
export interface FileLock {
  /** To be called right before what is done becomes visible. @throws {KeystayError} `output_unwritable` */
  check(): Promise<void>
}

/** What is done under a lock takes milliseconds: a lock this old was left by a process that died. */
const STALE_MS = 10_000
const PATIENCE_MS = 30_000

/**
 * Does some work while no other process does any under the same lock. The lock is a file that only
 * one can create; it is not tied to a process id, which means nothing across containers.
 * @throws {KeystayError} `output_unwritable`
 */
export async function withFileLock<Result>(
  path: string,
  work: (lock: FileLock) => Promise<Result>,
): Promise<Result> {
  const token = randomUUID()
  await acquire(path, token)
  const holds = async (): Promise<boolean> => (await readOwner(path)) === token
  try {
    return await work({
      check: async () => {
        if (!(await holds())) throw lockError(path, 'another process took it over')
      },
    })
  } finally {
    if (await holds()) await rm(path, { force: true })
  }
}

async function acquire(path: string, token: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  while (!(await create(path, token))) {
    await breakStaleLock(path)
    if (Date.now() > deadline) throw lockError(path, 'others hold it all the time')
    await sleep(5 + Math.random() * 20)
  }
}

function lockError(path: string, what: string): KeystayError {
  return new KeystayError('output_unwritable', `the lock ${path} was not kept: ${what}; try again`)
}

/** Creates the lock, unless there is one. */
async function create(path: string, token: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      await file.writeFile(token)
      return true
    } catch (error) {
      await rm(path, { force: true })
      throw error
    } finally {
      await file.close()
    }
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return false
    throw error
  }
}

async function readOwner(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined)
}

/**
 * Removes a lock whose owner has died. It is moved away first, which only one process can do, and
 * looked at there: where it turns out to be one that somebody has taken meanwhile, it is put back.
 */
async function breakStaleLock(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined || Date.now() - found.mtimeMs < STALE_MS) return
  const owner = await readOwner(path)
  const aside = `${path}.${randomUUID()}`
  try {
    await rename(path, aside)
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return
    throw error
  }
  if ((await readOwner(aside)) !== owner) await link(aside, path).catch(() => undefined)
  await rm(aside, { force: true })
}
