import { readFile } from 'node:fs/promises'
import { KeystayError } from '../src/errors.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads a PIN or secret from where a URI's `pin-source` or `secret-source` points:
 * `file:/path` (one line; the line end is not part of it) or `env:NAME`. The content never appears
 * in an error.
 * @param what the attribute's name, for messages
 * @throws {KeystayError} `secret_source_invalid` (also where it holds anything but one line of
 *   text), `secret_source_unreadable`, `secret_source_empty`
 */
export async function readSecretSource(source: string, what: string): Promise<string> {
  const [, kind, rest] = /^(file|env):(.+)$/s.exec(source) ?? []
  if (kind === undefined || rest === undefined) {
    throw new KeystayError(
      'secret_source_invalid',
      `${what} must be file:/absolute/path or env:NAME`,
    )
  }
  const secret = kind === 'env' ? readEnvironment(rest, what) : await readFileSource(rest, what)
  if (secret === '') {
    throw new KeystayError('secret_source_empty', `${what} (${kind}:${rest}) holds nothing`)
  }
  if (/[\r\n\0]/.test(secret)) {
    throw new KeystayError(
      'secret_source_invalid',
      `${what} (${kind}:${rest}) holds more than one line; it must hold the secret and nothing else`,
    )
  }
  return secret
}

function readEnvironment(name: string, what: string): string {
  const value = process.env[name]
  if (value === undefined) {
    throw new KeystayError(
      'secret_source_unreadable',
      `${what}: the environment variable ${name} is not set`,
    )
  }
  return value
}

async function readFileSource(location: string, what: string): Promise<string> {
  // RFC 8089 allows file:/path and file:///path.
  const path = location.startsWith('//') ? location.slice(2) : location
  if (!path.startsWith('/')) {
    throw new KeystayError(
      'secret_source_invalid',
      `${what} must name an absolute path: file:/run/secrets/…`,
    )
  }
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new KeystayError(
      'secret_source_unreadable',
      `${what}: ${path} cannot be read (${code ?? 'unknown error'})`,
      { cause: error },
    )
  }
  try {
    return decoder.decode(bytes).replace(/\r?\n$/, '')
  } catch {
    // Decoding loosely would turn different bytes into the same secret.
    throw new KeystayError(
      'secret_source_invalid',
      `${what}: ${path} is not text; write the secret as UTF-8, for instance in base64`,
    )
  }
}
