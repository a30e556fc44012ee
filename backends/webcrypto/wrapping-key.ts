import { randomBytes, randomUUID, scrypt } from 'node:crypto'
import { KeystayError } from '../../src/errors.ts'
import { readSecretSource } from '../secret-source.ts'
import type { KeyringHeader, ScryptParameters } from './key-file.ts'
import type { Bytes } from './sealed-key.ts'

const LEAST_SECRET_BYTES = 16
/** 32 MiB and about 0.3 s, once for each opening; OWASP's equal of N = 2^17. */
const COST = { N: 2 ** 15, r: 8, p: 3 } as const

/**
 * The keyring's secret, from the option or from where the URI points.
 * @throws {KeystayError} `keyring_secret_missing`, `keyring_secret_too_short`, `secret_source_*`
 */
export async function readKeyringSecret(
  secretSource: string | undefined,
  given: string | Uint8Array | undefined,
): Promise<string | Uint8Array> {
  if (given !== undefined && secretSource !== undefined) {
    throw new TypeError('give the secret as an option or as secret-source, not both')
  }
  const secret =
    secretSource === undefined ? given : await readSecretSource(secretSource, 'secret-source')
  if (secret === undefined) {
    throw new KeystayError(
      'keyring_secret_missing',
      'a keyring on disk needs a secret; add ?secret-source=file:/path or ?secret-source=env:NAME to the URI',
    )
  }
  const length = Buffer.byteLength(secret)
  if (length < LEAST_SECRET_BYTES) {
    throw new KeystayError(
      'keyring_secret_too_short',
      `the keyring's secret has ${length} bytes, and must have ${LEAST_SECRET_BYTES} or more; make one with: openssl rand -base64 32`,
    )
  }
  return secret
}

/** AES-256-GCM key from the secret; scrypt runs on the thread pool. */
async function deriveKey(
  secret: string | Uint8Array,
  { salt, N, r, p }: ScryptParameters,
): Promise<CryptoKey> {
  const options = { N, r, p, maxmem: 128 * r * (N + p) + 1024 * 1024 }
  const derived = await new Promise<Buffer>((resolve, reject) => {
    scrypt(secret, salt, 32, options, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
  try {
    return await crypto.subtle.importKey('raw', new Uint8Array(derived), 'AES-GCM', false, [
      'encrypt',
      'decrypt',
      'wrapKey',
      'unwrapKey',
    ])
  } finally {
    derived.fill(0)
  }
}

function checkParameters(iv: Bytes, id: string, { salt, N, r, p }: ScryptParameters): AesGcmParams {
  const text = JSON.stringify(['keystay keyring', 1, id, [...salt], N, r, p])
  return { name: 'AES-GCM', iv, additionalData: new TextEncoder().encode(text) }
}

/** A header for a new keyring, and the key that it leads to. */
export async function createWrappingKey(
  secret: string | Uint8Array,
): Promise<{ readonly header: KeyringHeader; readonly wrappingKey: CryptoKey }> {
  const id = randomUUID()
  const kdf = { salt: new Uint8Array(randomBytes(16)), ...COST }
  const iv = new Uint8Array(randomBytes(12))
  const wrappingKey = await deriveKey(secret, kdf)
  const parameters = checkParameters(iv, id, kdf)
  const tag = await crypto.subtle.encrypt(parameters, wrappingKey, new Uint8Array())
  return { header: { id, kdf, check: { iv, tag: new Uint8Array(tag) } }, wrappingKey }
}

/**
 * The key that a header leads to.
 * @throws {KeystayError} `keyring_secret_wrong`
 */
export async function openWrappingKey(
  secret: string | Uint8Array,
  { id, kdf, check }: KeyringHeader,
): Promise<CryptoKey> {
  const wrappingKey = await deriveKey(secret, kdf)
  try {
    await crypto.subtle.decrypt(checkParameters(check.iv, id, kdf), wrappingKey, check.tag)
  } catch (error) {
    throw new KeystayError(
      'keyring_secret_wrong',
      'the secret does not open this keyring: it is not the one that the keyring was created with (or keyring.json was altered)',
      { cause: error },
    )
  }
  return wrappingKey
}
