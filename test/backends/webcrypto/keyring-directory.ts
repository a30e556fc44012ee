import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { openWebCryptoBackend, type WebCryptoBackend } from '../../../backends/webcrypto/index.ts'

/** Directories for keyrings, which go when the tests of the file are over. */
export interface KeyringDirectories {
  /** The secret that `open` uses unless another is given. */
  readonly secret: string
  /** A directory that does not exist yet. */
  readonly next: () => string
  readonly open: (directory: string, secret?: string | Uint8Array) => Promise<WebCryptoBackend>
}

/** Sets the directories up for a test file. */
export function keyringDirectories(): KeyringDirectories {
  const ownSecret = randomBytes(32).toString('base64')
  let root = ''
  let counter = 0
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'keystay-keyring-'))
  })
  afterAll(async () => {
    await rm(root, { recursive: true })
  })
  return {
    secret: ownSecret,
    next: () => join(root, `keyring-${counter++}`),
    open: (directory, secret = ownSecret) =>
      openWebCryptoBackend(`webcrypto:${encodeURIComponent(directory)}`, { secret }),
  }
}

/** Every file in a directory and below. */
export async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}

/** The fields of one of a keyring's files. */
export type Fields = Record<string, unknown>

/** Changes one of a keyring's files. */
export async function edit(file: string, change: (fields: Fields) => void): Promise<void> {
  const fields = JSON.parse(await readFile(file, 'utf8')) as Fields
  change(fields)
  await writeFile(file, JSON.stringify(fields))
}
