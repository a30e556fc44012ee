import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  rename,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join, relative } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { openWebCryptoBackend } from '../../../backends/webcrypto/index.ts'
import type { KeyType } from '../../../src/csr/algorithms.ts'
import { filesIn, keyringDirectories } from './keyring-directory.ts'

const { secret, next, open } = keyringDirectories()
const message = randomBytes(100)
let directory: string
beforeEach(() => {
  directory = next()
})

async function keyringWithKey(path = directory): Promise<string> {
  await using backend = await open(path)
  const { uri } = await backend.generateKey('ed25519', { label: 'one' })
  return uri
}

describe('files', () => {
  test('are for their owner alone, and in a directory for its owner alone', async () => {
    await keyringWithKey(join(directory, 'deep', 'down'))
    const entries = await readdir(directory, { recursive: true })
    for (const entry of ['.', ...entries]) {
      const { mode } = await stat(join(directory, entry))
      expect([entry, mode & 0o077]).toEqual([entry, 0])
    }
  })

  test('hold neither the secret nor a private key', async () => {
    const types: KeyType[] = ['rsa2048', 'p256v1', 'ed25519']
    await using backend = await open(directory)
    for (const keyType of types) await backend.generateKey(keyType, { label: keyType })
    // Where a PKCS#8 structure (RFC 5208) begins: version 0, then the algorithm.
    const pkcs8 = [
      '020100300d06092a864886f70d010101',
      '020100301306072a8648ce3d0201',
      '020100300506032b6570',
    ].map((hex) => Buffer.from(hex, 'hex'))
    for (const file of await filesIn(directory)) {
      const content = await readFile(file)
      expect(content.includes(secret)).toBe(false)
      const values = content.toString('utf8').match(/[A-Za-z0-9+/=]{20,}/g) ?? []
      for (const value of values) {
        for (const prefix of pkcs8) {
          expect(Buffer.from(value, 'base64').includes(prefix)).toBe(false)
        }
      }
    }
  })

  test('are the same bytes for as long as the key lives', async () => {
    const uri = await keyringWithKey()
    const read = async (): Promise<Buffer[]> =>
      Promise.all((await filesIn(directory)).map((file) => readFile(file)))
    const before = await read()
    await using backend = await open(directory)
    await (await backend.getKey(uri)).sign(message)
    expect(await read()).toEqual(before)
  })

  test('half written ones are removed by a later opening, unless they are quite young', async () => {
    await keyringWithKey()
    for (const name of ['tmp-young', 'tmp-old']) {
      await mkdir(join(directory, name))
      await writeFile(join(directory, name, 'half.json'), '{')
    }
    const old = new Date(Date.now() - 120_000)
    await utimes(join(directory, 'tmp-old'), old, old)
    await using backend = await open(directory)
    expect((await readdir(directory)).filter((name) => name.startsWith('tmp-'))).toEqual([
      'tmp-young',
    ])
    for await (const { state } of backend.listKeys()) expect(state).toBe('usable')
  })

  test('go when their key does, and nothing stays', async () => {
    const uri = await keyringWithKey()
    await using backend = await open(directory)
    await backend.destroyKey(uri)
    expect(await readdir(directory)).toEqual(['keyring'])
  })

  test('may move, with their URIs as they were', async () => {
    const uri = await keyringWithKey()
    await rename(directory, `${directory}-moved`)
    await using backend = await open(`${directory}-moved`)
    await (await backend.getKey(uri)).sign(message)
    expect(backend.uri).toBe(`webcrypto:${directory}-moved`)
  })

  test('are found in a directory with an odd name, relative to where one is', async () => {
    const odd = join(directory, 'käse & brot?#%20;=+')
    await keyringWithKey(odd)
    await using backend = await open(relative(process.cwd(), odd))
    expect((await backend.findKey('one'))?.label).toBe('one')
    expect(backend.uri).not.toContain('?')
    await using again = await openWebCryptoBackend(backend.uri, { secret })
    expect(again.uri).toBe(backend.uri)
  })
})

describe('the directory', () => {
  test.each([0o755, 0o750, 0o701, 0o707])('is refused with mode %o', async (mode) => {
    await mkdir(directory)
    await chmod(directory, mode)
    await expect(open(directory)).rejects.toMatchObject({
      code: 'keyring_directory_exposed',
      message: expect.stringContaining(`chmod 700 ${directory}`) as string,
    })
    expect(await readdir(directory)).toEqual([])
  })

  test('is refused where it is a file, or below one', async () => {
    await writeFile(directory, 'text')
    for (const path of [directory, join(directory, 'below')]) {
      await expect(open(path)).rejects.toMatchObject({ code: 'keyring_directory_invalid' })
    }
  })

  test('is refused where it cannot be created', async () => {
    await expect(open('/proc/keystay')).rejects.toMatchObject({ code: 'backend_unavailable' })
  })

  test('may be a symbolic link', async () => {
    const uri = await keyringWithKey()
    await symlink(directory, `${directory}-link`)
    await using backend = await open(`${directory}-link`)
    await backend.getKey(uri)
  })

  test('may hold other files, which are left alone', async () => {
    await mkdir(join(directory, 'lost+found'), { recursive: true, mode: 0o700 })
    await chmod(directory, 0o700)
    await keyringWithKey()
    await using backend = await open(directory)
    await backend.destroyKey((await backend.findKey('one'))?.uri ?? '')
    expect(existsSync(join(directory, 'lost+found'))).toBe(true)
  })
})

describe('the secret', () => {
  test.each([
    ['keyring_secret_missing', undefined],
    ['keyring_secret_too_short', 'fifteen bytes!!'],
    ['keyring_secret_too_short', new Uint8Array(15)],
  ])('%s, and no directory is made', async (code, given) => {
    const opening = openWebCryptoBackend(`webcrypto:${directory}`, { secret: given })
    await expect(opening).rejects.toMatchObject({ code })
    expect(existsSync(directory)).toBe(false)
  })

  test('that is wrong is found out at once, also in an empty keyring', async () => {
    await (await open(directory)).close()
    const wrong = randomBytes(32).toString('base64')
    const error: unknown = await open(directory, wrong).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'keyring_secret_wrong' })
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(wrong)
  })

  test('of 16 bytes is enough, as text or as bytes, and they are the same', async () => {
    await (await open(directory, 'sixteen bytes ok')).close()
    await (await open(directory, Buffer.from('sixteen bytes ok'))).close()
  })

  test('is given once', async () => {
    const uri = `webcrypto:${directory}?secret-source=env:ANY`
    await expect(openWebCryptoBackend(uri, { secret })).rejects.toThrow(TypeError)
    await expect(openWebCryptoBackend('webcrypto:', { secret })).rejects.toThrow(TypeError)
  })
})
