import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { WebCryptoBackend } from '../../../backends/webcrypto/index.ts'
import type { KeyListing } from '../../../src/key/backend.ts'
import { edit, keyringDirectories, type Fields } from './keyring-directory.ts'

const { next, open } = keyringDirectories()

/** One byte of a base64 value, changed. */
const flip = (value: unknown): string => {
  const bytes = Buffer.from(String(value), 'base64')
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  return bytes.toString('base64')
}

describe('an altered key file', () => {
  // What a backend has once opened it does not read again: one writes, the other reads.
  let directory: string
  let writer: WebCryptoBackend
  let reader: WebCryptoBackend
  let counter = 0
  beforeAll(async () => {
    directory = next()
    writer = await open(directory)
    reader = await open(directory)
  })
  afterAll(async () => {
    await writer.close()
    await reader.close()
  })

  async function newKey(): Promise<{ label: string; uri: string; file: string }> {
    const label = `key:${counter++}`
    const { uri } = await writer.generateKey('ed25519', { label })
    const file = uri.replace(/.*id=(.*)-(.*)$/, (_, folder: string, name: string) =>
      join(directory, folder, `${name}.json`),
    )
    return { label, uri, file }
  }

  test.each<[string, string, (fields: Fields) => void]>([
    ['format', 'keyring_damaged', (fields) => (fields['format'] = 'other')],
    ['version', 'keyring_damaged', (fields) => (fields['version'] = 0)],
    ['a newer version', 'keyring_version_unsupported', (fields) => (fields['version'] = 2)],
    [
      'keyring',
      'keyring_key_foreign',
      (fields) => (fields['keyring'] = '00000000-0000-4000-8000-000000000000'),
    ],
    ['id', 'keyring_damaged', (fields) => (fields['id'] = String(fields['id']).replace(/./, 'x'))],
    ['label', 'keyring_damaged', (fields) => (fields['label'] = 'two')],
    ['keyType', 'keyring_damaged', (fields) => (fields['keyType'] = 'p256v1')],
    ['keyType, unknown', 'keyring_damaged', (fields) => (fields['keyType'] = 'constructor')],
    [
      'createdAt',
      'keyring_damaged',
      (fields) => (fields['createdAt'] = '2020-01-01T00:00:00.000Z'),
    ],
    [
      'createdAt, no date',
      'keyring_damaged',
      (fields) => (fields['createdAt'] = '2020-99-01T00:00:00.000Z'),
    ],
    ['publicKey', 'keyring_damaged', (fields) => (fields['publicKey'] = flip(fields['publicKey']))],
    ['iv', 'keyring_damaged', (fields) => (fields['iv'] = flip(fields['iv']))],
    [
      'wrappedKey',
      'keyring_damaged',
      (fields) => (fields['wrappedKey'] = flip(fields['wrappedKey'])),
    ],
    ['no base64', 'keyring_damaged', (fields) => (fields['wrappedKey'] = 'A')],
    ['no iv', 'keyring_damaged', (fields) => delete fields['iv']],
  ])('is refused: %s', async (_what, code, change) => {
    const { label, uri, file } = await newKey()
    await edit(file, change)
    await expect(reader.getKey(uri)).rejects.toMatchObject({ code })
    await expect(reader.findKey(label)).rejects.toMatchObject({ code })
  })

  test('is refused when it is cut off anywhere', async () => {
    const { uri, file } = await newKey()
    const content = await readFile(file, 'utf8')
    for (let length = 0; length < content.length - 2; length += 40) {
      await writeFile(file, content.slice(0, length))
      await expect(reader.getKey(uri)).rejects.toMatchObject({ code: 'keyring_damaged' })
    }
    await writeFile(file, content)
    await reader.getKey(uri)
  })

  test('is listed as unavailable beside the others, and can be destroyed', async () => {
    const { uri, file } = await newKey()
    const { uri: other } = await newKey()
    await writeFile(file, '{')
    const states = new Map<string, KeyListing['state']>()
    for await (const line of reader.listKeys()) states.set(line.uri, line.state)
    expect(states.get(uri)).toBe('unavailable')
    expect(states.get(other)).toBe('usable')
    expect(await reader.destroyKey(uri)).toEqual({ state: 'destroyed' })
    await expect(reader.getKey(uri)).rejects.toMatchObject({ code: 'key_not_found' })
  })

  test('is refused in the place of another key', async () => {
    const { uri, file } = await newKey()
    const other = await newKey()
    await cp(other.file, file)
    await expect(reader.getKey(uri)).rejects.toMatchObject({ code: 'keyring_damaged' })
    await cp(other.file, join(dirname(other.file), `${'0'.repeat(32)}.json`))
    await expect(reader.findKey(other.label)).rejects.toMatchObject({ code: 'key_ambiguous' })
  })

  test('of another keyring with the same secret is refused', async () => {
    const { label, file } = await newKey()
    const elsewhere = next()
    await using foreign = await open(elsewhere)
    await cp(dirname(file), join(elsewhere, relative(directory, dirname(file))), {
      recursive: true,
    })
    await expect(foreign.findKey(label)).rejects.toMatchObject({ code: 'keyring_key_foreign' })
  })

  test('is as good as the original in a copy of the whole keyring', async () => {
    const { uri } = await newKey()
    const copy = next()
    await cp(directory, copy, { recursive: true })
    await using backend = await open(copy)
    await (await backend.getKey(uri)).sign(Uint8Array.of(1))
  })
})

describe('an altered keyring.json', () => {
  let directory: string
  let header: string
  let original: string
  beforeAll(async () => {
    directory = next()
    header = join(directory, 'keyring', 'keyring.json')
    await using backend = await open(directory)
    await backend.generateKey('ed25519', { label: 'one' })
    original = await readFile(header, 'utf8')
  })

  const kdf = (change: (fields: Fields) => void) => (fields: Fields) => {
    change(fields['kdf'] as Fields)
  }

  test.each<[string, string, (fields: Fields) => void]>([
    ['a newer version', 'keyring_version_unsupported', (fields) => (fields['version'] = 2)],
    ['format', 'keyring_damaged', (fields) => (fields['format'] = 'keystay-key')],
    [
      'id',
      'keyring_secret_wrong',
      (fields) => (fields['id'] = '00000000-0000-4000-8000-000000000000'),
    ],
    ['salt', 'keyring_secret_wrong', kdf((fields) => (fields['salt'] = flip(fields['salt'])))],
    ['p', 'keyring_secret_wrong', kdf((fields) => (fields['p'] = 1))],
    ['N too small', 'keyring_damaged', kdf((fields) => (fields['N'] = 2))],
    ['N too large', 'keyring_damaged', kdf((fields) => (fields['N'] = 2 ** 30))],
    ['N no power of two', 'keyring_damaged', kdf((fields) => (fields['N'] = 2 ** 15 + 1))],
    ['p too large', 'keyring_damaged', kdf((fields) => (fields['p'] = 1e9))],
    ['another function', 'keyring_damaged', kdf((fields) => (fields['name'] = 'none'))],
    ['no check', 'keyring_damaged', (fields) => delete fields['check']],
  ])('is refused: %s', async (_what, code, change) => {
    await writeFile(header, original)
    await edit(header, change)
    await expect(open(directory)).rejects.toMatchObject({ code })
  })

  test('that is missing is not made anew where there are keys', async () => {
    await rm(dirname(header), { recursive: true })
    await expect(open(directory)).rejects.toMatchObject({ code: 'keyring_damaged' })
    await mkdir(dirname(header))
    await expect(open(directory)).rejects.toMatchObject({ code: 'keyring_damaged' })
  })
})
