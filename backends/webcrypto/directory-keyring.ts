import { join, resolve } from 'node:path'
import { KeystayError } from '../../src/errors.ts'
import {
  ensurePrivateDirectory,
  namesIn,
  publishFile,
  readIfThere,
  removeFile,
  removeLeftovers,
} from './directory.ts'
import {
  damaged,
  formatHeader,
  formatKeyFile,
  parseHeader,
  parseKeyFile,
  type KeyringHeader,
} from './key-file.ts'
import { labelTaken, type Keyring, type ListedKey, type StoredKey } from './keyring.ts'
import { keyId, labelDigest, sealNewKey, storedKey, type Sealer } from './sealed-key.ts'
import { createWrappingKey, openWrappingKey, readKeyringSecret } from './wrapping-key.ts'

// <directory>/keyring/keyring.json
// <directory>/<digest of the label>/<digest of the public key>.json
const HEADER_DIRECTORY = 'keyring'
const HEADER_FILE = 'keyring.json'
const DIGEST = /^[0-9a-f]{32}$/
const KEY_FILE = /^([0-9a-f]{32})\.json$/

/** Which keyring to open, and with what. */
export interface KeyringLocation {
  /** Absolute, or relative to the working directory. */
  readonly directory: string
  readonly secretSource: string | undefined
  /** The secret itself, instead of where to find it. */
  readonly secret: string | Uint8Array | undefined
}

/**
 * Opens the keyring in a directory, or creates it.
 * @throws {KeystayError} `keyring_secret_missing`, `keyring_secret_too_short`, `secret_source_*`,
 *   `keyring_secret_wrong`, `keyring_directory_invalid`, `keyring_directory_exposed`,
 *   `keyring_damaged`, `keyring_version_unsupported`, `backend_unavailable`
 */
export async function openDirectoryKeyring(location: KeyringLocation): Promise<Keyring> {
  const directory = resolve(location.directory)
  const secret = await readKeyringSecret(location.secretSource, location.secret)
  await ensurePrivateDirectory(directory)
  // Before the header is looked for: who finds keys here must find a header afterwards.
  const names = await namesIn(directory)
  const sealer =
    (await openHeader(directory, secret)) ?? (await createHeader(directory, secret, names))
  await removeLeftovers(directory, names)
  return createKeyring(directory, sealer)
}

/** Whether a keyring was ever made in the directory. */
export async function hasKeyring(directory: string): Promise<boolean> {
  return (await namesIn(directory)).some((name) => name === HEADER_DIRECTORY || DIGEST.test(name))
}

async function openHeader(
  directory: string,
  secret: string | Uint8Array,
): Promise<Sealer | undefined> {
  const path = join(directory, HEADER_DIRECTORY, HEADER_FILE)
  const content = await readIfThere(path)
  if (content === undefined) return undefined
  const header = parseHeader(path, content)
  return sealerOf(header, await openWrappingKey(secret, header))
}

function sealerOf({ id }: KeyringHeader, wrappingKey: CryptoKey): Sealer {
  return { keyring: id, storage: 'encrypted file', wrappingKey }
}

async function createHeader(
  directory: string,
  secret: string | Uint8Array,
  names: readonly string[],
): Promise<Sealer> {
  if (names.some((name) => DIGEST.test(name))) {
    throw new KeystayError(
      'keyring_damaged',
      `${directory} holds keys but no ${HEADER_DIRECTORY}/${HEADER_FILE}, without which they cannot be opened; restore it from a copy`,
    )
  }
  const { header, wrappingKey } = await createWrappingKey(secret)
  const content = formatHeader(header)
  if (await publishFile(directory, HEADER_DIRECTORY, HEADER_FILE, content)) {
    return sealerOf(header, wrappingKey)
  }
  // Another process was faster: its keyring is the one.
  const sealer = await openHeader(directory, secret)
  if (sealer !== undefined) return sealer
  throw new KeystayError(
    'keyring_damaged',
    `${join(directory, HEADER_DIRECTORY)} is there without ${HEADER_FILE}; restore it from a copy`,
  )
}

function createKeyring(directory: string, sealer: Sealer): Keyring {
  const placeOf = (id: string): { folder: string; file: string; path: string } => {
    const [folder = '', name = ''] = id.split('-')
    return { folder, file: `${name}.json`, path: join(directory, folder, `${name}.json`) }
  }
  const read = async (id: string): Promise<StoredKey | undefined> => {
    const { path } = placeOf(id)
    const content = await readIfThere(path)
    if (content === undefined) return undefined
    const key = parseKeyFile(path, content, sealer.keyring, id)
    // Listings show what was never opened, and so never authenticated.
    if ((await keyId(key.label, key.publicKey)) !== id) throw damaged(path, 'is of another key')
    return storedKey(sealer, key)
  }
  const idsIn = async (folder: string): Promise<readonly string[]> =>
    (await namesIn(join(directory, folder))).flatMap((name) => {
      const [, digest] = KEY_FILE.exec(name) ?? []
      return digest === undefined ? [] : [`${folder}-${digest}`]
    })

  return {
    name: sealer.keyring,
    directory,
    async generate(keyType, label, signal) {
      // The publication decides; this spares making a key in vain.
      if ((await idsIn(await labelDigest(label))).length > 0) throw labelTaken(label)
      const key = await sealNewKey(sealer, keyType, label)
      signal?.throwIfAborted()
      const { folder, file } = placeOf(key.id)
      const published = await publishFile(
        directory,
        folder,
        file,
        formatKeyFile(sealer.keyring, key),
      )
      if (!published) throw labelTaken(label)
      return storedKey(sealer, key)
    },
    has: async (id) => (await idsIn(placeOf(id).folder)).includes(id),
    read,
    async find(label) {
      const [id, another] = await idsIn(await labelDigest(label))
      if (another !== undefined) {
        throw new KeystayError(
          'key_ambiguous',
          `there are two key files for the label ${JSON.stringify(label)}; remove the one that was copied there`,
        )
      }
      return id === undefined ? undefined : read(id)
    },
    async *list() {
      for (const folder of await namesIn(directory)) {
        if (!DIGEST.test(folder)) continue
        for (const id of await idsIn(folder)) {
          const line = await listed(id, read)
          if (line !== undefined) yield line
        }
      }
    },
    async remove(id) {
      const { folder, file } = placeOf(id)
      return removeFile(directory, folder, file)
    },
  }
}

/** One damaged file must not hide the others. */
async function listed(id: string, read: Keyring['read']): Promise<ListedKey | undefined> {
  try {
    const key = await read(id)
    return key && { ...key, state: 'usable' }
  } catch (error) {
    if (!(error instanceof KeystayError)) throw error
    return { id, label: undefined, keyType: undefined, createdAt: undefined, state: 'unavailable' }
  }
}
