import { randomUUID } from 'node:crypto'
import { KeystayError } from '../../errors.ts'
import type { Permission } from '../../http/access.ts'
import type { CliContext } from '../context.ts'
import { usageError } from '../failure.ts'
import { paint, print, printable, toJson } from '../io.ts'
import { isEmail, isScopeId, type Credential } from './credential.ts'
import { changeCredentials, readCredentials } from './credential-file.ts'
import { createSecret, hashSecret } from './secret.ts'

/** Options of the subcommands that work on a file of credentials. */
export interface CredentialFileOptions {
  readonly credentials?: string
}

/** Options of `keystay credential create`. */
export interface CreateCredentialOptions extends CredentialFileOptions {
  readonly email: string
  readonly role: Permission
  readonly zone?: readonly string[]
  readonly account?: readonly string[]
}

const DEFAULT_FILE = 'keystay-credentials.json'

/** The file of credentials to use. */
export function credentialsPath(
  { io }: CliContext,
  { credentials }: CredentialFileOptions,
): string {
  const path = credentials ?? io.env['KEYSTAY_CREDENTIALS'] ?? ''
  return path === '' ? DEFAULT_FILE : path
}

/**
 * `keystay credential create`: prints a new secret, which is kept nowhere else.
 * @throws {KeystayError} `usage_invalid`, `credentials_exposed`, `credentials_invalid`,
 *   `input_unreadable`, `output_unwritable`
 */
export async function createCredential(
  context: CliContext,
  options: CreateCredentialOptions,
): Promise<void> {
  const { email, role } = options
  if (!isEmail(email)) {
    throw usageError('--email must be an e-mail address in ASCII, such as ops@example.com')
  }
  const zones = checkIds('--zone', options.zone)
  const accounts = checkIds('--account', options.account)
  if (zones.length + accounts.length === 0) {
    throw usageError('a credential must be good for something; add --zone ID or --account ID')
  }
  const path = credentialsPath(context, options)
  const secret = createSecret()
  const credential: Credential = {
    id: randomUUID(),
    email,
    role,
    zones,
    accounts,
    createdAt: new Date().toISOString(),
    hash: hashSecret(secret),
  }
  await changeCredentials(path, (credentials) => [...credentials, credential])
  try {
    await printSecret(context, credential, secret)
  } catch (error) {
    // Nobody knows its secret, so nobody can use it, and nobody would dare to remove it later.
    await changeCredentials(path, (credentials) => without(credentials, credential.id))
    throw error
  }
}

function checkIds(option: string, given: readonly string[] = []): readonly string[] {
  const ids = [...new Set(given.map((id) => id.trim()))]
  if (ids.every(isScopeId)) return ids
  throw usageError(`${option} must be an id: 1 to 64 letters, digits, "_" or "-"`)
}

function without(credentials: readonly Credential[], id: string): readonly Credential[] {
  return credentials.filter((credential) => credential.id !== id)
}

async function printSecret(
  { io, json }: CliContext,
  { id, email, role, zones, accounts }: Credential,
  secret: string,
): Promise<void> {
  if (json) {
    await print(io.stdout, `${toJson({ id, email, secret, role, zones, accounts })}\n`)
    return
  }
  await print(io.stdout, `${secret}\n`)
  await print(
    io.stderr,
    `This secret is shown only now; only its hash was kept. Send it with every request, as\n  X-Auth-Email: ${email} and X-Auth-Key: <secret>, or\n  Authorization: Bearer <secret>\nTo end it: keystay credential revoke ${id}\n`,
  )
}

/**
 * `keystay credential list`.
 * @throws {KeystayError} `credentials_missing`, `credentials_exposed`, `credentials_invalid`,
 *   `input_unreadable`
 */
export async function listCredentials(
  context: CliContext,
  options: CredentialFileOptions,
): Promise<void> {
  const { io, json } = context
  const credentials = readCredentials(credentialsPath(context, options))
  if (json) {
    const items = credentials.map(({ id, email, role, zones, accounts, createdAt }) => ({
      id,
      email,
      role,
      zones,
      accounts,
      created_at: createdAt,
    }))
    await print(io.stdout, `${toJson(items)}\n`)
    return
  }
  if (credentials.length === 0) {
    await print(io.stderr, 'no credentials\n')
    return
  }
  const rows = credentials.map(({ id, role, createdAt, email, zones, accounts }) => {
    const scopes = [...zones.map((zone) => `zone:${zone}`), ...accounts.map((a) => `account:${a}`)]
    return row([id, role, createdAt.replace(/\.\d+Z$/, 'Z'), email, scopes.join(',') || '-'])
  })
  const head = paint(io.stdout, 'bold', row(['ID', 'ROLE', 'CREATED', 'EMAIL', 'FOR']))
  await print(io.stdout, head + rows.join(''))
}

const COLUMNS: readonly number[] = [36, 4, 20, 28, 0]

function row(cells: readonly string[]): string {
  const padded = cells.map((cell, index) => printable(cell).padEnd(COLUMNS[index] ?? 0))
  return `${padded.join('  ')}\n`
}

/**
 * `keystay credential revoke`: a server that runs refuses it from the next request on.
 * @throws {KeystayError} `credential_not_found`, `credentials_missing`, `credentials_exposed`,
 *   `credentials_invalid`, `input_unreadable`, `output_unwritable`
 */
export async function revokeCredential(
  context: CliContext,
  id: string,
  options: CredentialFileOptions,
): Promise<void> {
  const { io, json } = context
  const path = credentialsPath(context, options)
  // A file that is not there is not made, only to say that nothing is in it.
  readCredentials(path)
  await changeCredentials(path, (credentials) => {
    const rest = without(credentials, id)
    if (rest.length < credentials.length) return rest
    throw new KeystayError(
      'credential_not_found',
      // Not the id: it may be the secret, given by mistake.
      `${path} has no credential with this id; see keystay credential list`,
    )
  })
  await print(io.stdout, json ? `${toJson({ id, state: 'revoked' })}\n` : 'revoked\n')
}
