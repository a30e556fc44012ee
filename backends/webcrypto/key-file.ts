import { KEY_TYPES, type KeyType } from '../../src/csr/algorithms.ts'
import { KeystayError } from '../../src/errors.ts'
import type { Bytes, SealedKey } from './sealed-key.ts'

/** The version of both files that this code writes, and the only one that it reads. */
const VERSION = 1

/** What `keyring.json` says: how the wrapping key is derived, and how to tell that it is right. */
export interface KeyringHeader {
  readonly id: string
  readonly kdf: ScryptParameters
  /** AES-256-GCM of nothing under the wrapping key, which authenticates `id` and `kdf`. */
  readonly check: { readonly iv: Bytes; readonly tag: Bytes }
}

/** RFC 7914, by its own names. */
export interface ScryptParameters {
  readonly salt: Bytes
  readonly N: number
  readonly r: number
  readonly p: number
}

type Fields = Readonly<Record<string, unknown>>

/** The refusal of a file. */
export function damaged(path: string, what: string): KeystayError {
  return new KeystayError(
    'keyring_damaged',
    `${path} ${what}: it is cut off or was altered; restore it from a copy`,
  )
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

/** One file's fields, read strictly: what is not as this version writes it is refused. */
interface FieldReader {
  text(name: string, form: RegExp): string
  bytes(name: string): Bytes
  integer(name: string, least: number, most: number): number
  group(name: string): FieldReader
}

function fieldReader(path: string, fields: Fields): FieldReader {
  const refuse = (name: string): never => {
    throw damaged(path, `has no valid ${name}`)
  }
  const text = (name: string, form: RegExp): string => {
    const value = fields[name]
    return typeof value === 'string' && form.test(value) ? value : refuse(name)
  }
  return {
    text,
    bytes(name) {
      const value = text(name, /^[A-Za-z0-9+/]+={0,2}$/)
      const bytes = new Uint8Array(Buffer.from(value, 'base64'))
      return toBase64(bytes) === value ? bytes : refuse(name)
    },
    integer(name, least, most) {
      const value = fields[name]
      return Number.isInteger(value) && (value as number) >= least && (value as number) <= most
        ? (value as number)
        : refuse(name)
    },
    group(name) {
      const value = fields[name]
      return isFields(value) ? fieldReader(path, value) : refuse(name)
    },
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function readFields(path: string, content: string, format: string): FieldReader {
  let fields: unknown
  try {
    fields = JSON.parse(content)
  } catch {
    throw damaged(path, 'is not JSON')
  }
  if (!isFields(fields) || fields['format'] !== format) throw damaged(path, `is no ${format}`)
  const { version } = fields
  if (typeof version === 'number' && version > VERSION) {
    throw new KeystayError(
      'keyring_version_unsupported',
      `${path} was written by a newer keystay (version ${version} of its format, this one reads ${VERSION}); update keystay`,
    )
  }
  if (version !== VERSION) throw damaged(path, 'has no valid version')
  return fieldReader(path, fields)
}

function formatFile(format: string, fields: Fields): string {
  return `${JSON.stringify({ format, version: VERSION, ...fields }, undefined, 2)}\n`
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** `keyring.json` */
export function formatHeader({ id, kdf, check }: KeyringHeader): string {
  return formatFile('keystay-keyring', {
    id,
    kdf: { name: 'scrypt', salt: toBase64(kdf.salt), N: kdf.N, r: kdf.r, p: kdf.p },
    check: { iv: toBase64(check.iv), tag: toBase64(check.tag) },
  })
}

/**
 * Reads `keyring.json`. The costs of scrypt are bounded, so that an altered file can neither
 * exhaust the memory nor cheapen a search for the secret.
 * @throws {KeystayError} `keyring_damaged`, `keyring_version_unsupported`
 */
export function parseHeader(path: string, content: string): KeyringHeader {
  const fields = readFields(path, content, 'keystay-keyring')
  const kdf = fields.group('kdf')
  const check = fields.group('check')
  kdf.text('name', /^scrypt$/)
  const N = kdf.integer('N', 2 ** 14, 2 ** 18)
  if (!Number.isInteger(Math.log2(N))) throw damaged(path, 'has no valid N')
  return {
    id: fields.text('id', UUID),
    kdf: { salt: kdf.bytes('salt'), N, r: kdf.integer('r', 8, 8), p: kdf.integer('p', 1, 16) },
    check: { iv: check.bytes('iv'), tag: check.bytes('tag') },
  }
}

/** A key's file. */
export function formatKeyFile(keyring: string, key: SealedKey): string {
  const { id, label, keyType, publicKey, createdAt, iv, wrappedKey } = key
  return formatFile('keystay-key', {
    keyring,
    id,
    label,
    keyType,
    createdAt: createdAt.toISOString(),
    publicKey: toBase64(publicKey),
    iv: toBase64(iv),
    wrappedKey: toBase64(wrappedKey),
  })
}

/**
 * Reads a key's file without opening the key.
 * @param keyring the keyring's id @param id the key's id, which its place says
 * @throws {KeystayError} `keyring_damaged`, `keyring_version_unsupported`, `keyring_key_foreign`
 */
export function parseKeyFile(
  path: string,
  content: string,
  keyring: string,
  id: string,
): SealedKey {
  const fields = readFields(path, content, 'keystay-key')
  if (fields.text('keyring', UUID) !== keyring) {
    throw new KeystayError(
      'keyring_key_foreign',
      `${path} belongs to another keyring and cannot be opened in this one; put it back where it came from`,
    )
  }
  if (fields.text('id', /./) !== id) throw damaged(path, 'is not where it belongs')
  const createdAt = fields.text('createdAt', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  if (Number.isNaN(Date.parse(createdAt))) throw damaged(path, 'has no valid createdAt')
  const keyType = fields.text('keyType', /./)
  if (!(keyType in KEY_TYPES)) throw damaged(path, 'has no valid keyType')
  return {
    id,
    label: fields.text('label', /./),
    keyType: keyType as KeyType,
    publicKey: fields.bytes('publicKey'),
    createdAt: new Date(createdAt),
    iv: fields.bytes('iv'),
    wrappedKey: fields.bytes('wrappedKey'),
  }
}
