import { timingSafeEqual } from 'node:crypto'
import { statSync } from 'node:fs'
import { KeystayError } from '../../errors.ts'
import { grantAccess, type Access, type Authorize, type Refusal } from '../../http/access.ts'
import type { RefusalReason } from '../../http/access.ts'
import { systemReason } from '../files.ts'
import type { CredentialEntry } from './credential.ts'
import { fileVersion, readCredentialFile } from './credential-file.ts'
import { hashSecret, isSecret } from './secret.ts'

/** What is to be known of a file of credentials while it is in use. */
export interface CredentialWatch {
  /** Entries that could be read were read again, because the file has changed. */
  readonly onReload?: (count: number) => void
  /** Something is wrong with the file or with one of its entries. */
  readonly onProblem?: (problem: string) => void
}

/** Recognizes requests by a file of credentials. */
export interface FileAuthorizer {
  readonly authorize: Authorize
  /** How many credentials there are now. */
  count(): number
}

/**
 * Recognizes requests by a file of credentials, which is read again as soon as it has changed: a
 * revocation holds for the next request. A file that has become unreadable leaves in force what was
 * read before; one that is gone or empty leaves nothing.
 * @throws {KeystayError} `credentials_missing`, `credentials_exposed`, `credentials_invalid`,
 *   `input_unreadable`, all only of the file as it is at first
 */
export function createFileAuthorizer(path: string, watch: CredentialWatch = {}): FileAuthorizer {
  let { entries, version } = readCredentialFile(path)
  reportProblems(path, entries, watch)
  const refresh = (): readonly CredentialEntry[] => {
    const present = presentVersion(path)
    if (present === version) return entries
    version = present
    try {
      ;({ entries, version } = readCredentialFile(path))
      reportProblems(path, entries, watch)
      watch.onReload?.(countUsable(entries))
    } catch (error) {
      if (!(error instanceof KeystayError)) throw error
      const gone = error.code === 'credentials_missing'
      if (gone) entries = []
      const effect = gone ? 'nobody is let in' : 'the credentials read before stay in force'
      watch.onProblem?.(`${error.message}; ${effect}`)
    }
    return entries
  }
  return {
    authorize: ({ headers }) => {
      const presented = takeSecret(headers)
      if (presented === undefined || 'refused' in presented) return presented
      return recognize(refresh(), presented)
    },
    count: () => countUsable(entries),
  }
}

/** Some microseconds; asked asynchronously, the answer could be older than the request. */
function presentVersion(path: string): string {
  try {
    return fileVersion(statSync(path, { bigint: true }))
  } catch (error) {
    return systemReason(error)
  }
}

function countUsable(entries: readonly CredentialEntry[]): number {
  return entries.filter(({ credential }) => credential !== undefined).length
}

function reportProblems(
  path: string,
  entries: readonly CredentialEntry[],
  { onProblem }: CredentialWatch,
): void {
  for (const { problem } of entries) {
    if (problem !== undefined) onProblem?.(`${path}: ${problem}; this entry lets nobody in`)
  }
}

interface Presented {
  readonly secret: string
  /** Where one was sent. */
  readonly email: string | undefined
}

function refuse(refused: RefusalReason): Refusal {
  return { refused }
}

/** The secret that a request shows, in whichever style; `undefined` where it shows none. */
function takeSecret(headers: Headers): Presented | Refusal | undefined {
  const email = headers.get('x-auth-email') ?? undefined
  const key = headers.get('x-auth-key') ?? undefined
  const serviceKey = headers.get('x-auth-user-service-key') ?? undefined
  const authorization = headers.get('authorization') ?? undefined
  if ([email, key, serviceKey, authorization].every((header) => header === undefined)) return
  if ((email === undefined) !== (key === undefined)) return refuse('token_header_invalid')
  const secrets = [key, serviceKey].filter((secret) => secret !== undefined)
  if (authorization !== undefined) {
    const [, token] = /^bearer(?: +(\S.*))?$/i.exec(authorization.trim()) ?? []
    if (token === undefined) return refuse('token_missing')
    secrets.push(token)
  }
  const [secret = '', ...others] = secrets
  if (secrets.includes('')) return refuse('token_missing')
  if (!secrets.every(isSecret)) return refuse('token_malformed')
  // Clients send all that they were configured with; which of two is meant cannot be known.
  if (others.some((other) => other !== secret)) return refuse('token_header_invalid')
  return { secret, email }
}

/** Compares with every entry, in a time that does not tell which one it was, or how nearly. */
function recognize(
  entries: readonly CredentialEntry[],
  { secret, email }: Presented,
): Access | Refusal {
  const shown = hashSecret(secret)
  let match: CredentialEntry | undefined
  for (const entry of entries) {
    if (entry.hash !== undefined && timingSafeEqual(entry.hash, shown)) match = entry
  }
  if (match === undefined) return refuse('token_invalid')
  const { credential } = match
  if (credential === undefined) return refuse('token_claims_unreadable')
  if (email !== undefined && email.toLowerCase() !== credential.email.toLowerCase()) {
    return refuse('token_invalid')
  }
  const { role, zones, accounts } = credential
  if (zones.length + accounts.length === 0) return refuse('token_claims_missing')
  return grantAccess({ actor: credential.email, role, zones, accounts })
}
