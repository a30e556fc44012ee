import { KeystayError } from '../../errors.ts'
import type { Permission } from '../../http/access.ts'

/** Who may do what, and the hash of the secret that proves it. */
export interface Credential {
  /** UUID. */
  readonly id: string
  readonly email: string
  readonly role: Permission
  readonly zones: readonly string[]
  readonly accounts: readonly string[]
  readonly createdAt: string
  /** SHA-256 of the secret. */
  readonly hash: Buffer
}

/** What could be read of one entry of a file. */
export interface CredentialEntry {
  /** Absent where not even that could be read: then nobody can use the entry. */
  readonly hash: Buffer | undefined
  /** Absent where something is wrong with it. */
  readonly credential: Credential | undefined
  /** What is wrong, and where: `/credentials/0/role must be "read" or "edit"`. */
  readonly problem: string | undefined
}

const ROLES: readonly Permission[] = ['read', 'edit']

const VERSION = 1
const FIELDS = ['id', 'email', 'role', 'zones', 'accounts', 'created_at', 'sha256']
const SCOPE_ID = /^[A-Za-z0-9_-]{1,64}$/
// It travels in a header, so that it must be ASCII.
const EMAIL = /^(?=.{3,254}$)[!-?A-~]+@[!-?A-~]+$/
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const SHA256 = /^[0-9a-f]{64}$/
const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/

/** Whether a text is an e-mail address that a request can carry. */
export function isEmail(text: string): boolean {
  return EMAIL.test(text)
}

/** Whether a text is the id of a zone or an account. */
export function isScopeId(text: string): boolean {
  return SCOPE_ID.test(text)
}

/**
 * The entries of a file. One that is damaged does not take the others with it. Messages name the
 * place and never what stands there: it may be a secret that somebody put there by mistake.
 * @throws {KeystayError} `credentials_invalid`, where the file as a whole cannot be read
 */
export function parseCredentials(path: string, text: string): readonly CredentialEntry[] {
  const invalid = (what: string): KeystayError =>
    new KeystayError('credentials_invalid', `${path} is not a file of credentials: ${what}`)
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    // Not as its cause: the parser's message quotes the file.
    throw invalid('it is not JSON')
  }
  if (!isRecord(content)) throw invalid('it must hold one JSON object')
  const { version, credentials } = content
  if (typeof version === 'number' && version > VERSION) {
    throw invalid(`/version says that a later version of keystay wrote it; update keystay`)
  }
  if (version !== VERSION) throw invalid(`/version must be ${VERSION}`)
  if (!Array.isArray(credentials)) throw invalid('/credentials must be an array')
  const ids = new Set<string>()
  return credentials.map((item: unknown, index) => {
    const entry = readEntry(item, `/credentials/${index}`)
    const id = entry.credential?.id
    if (id === undefined || !ids.has(id)) {
      if (id !== undefined) ids.add(id)
      return entry
    }
    const problem = `/credentials/${index}/id is that of another entry`
    return { hash: entry.hash, credential: undefined, problem }
  })
}

function readEntry(item: unknown, place: string): CredentialEntry {
  if (!isRecord(item)) {
    return { hash: undefined, credential: undefined, problem: `${place} must be an object` }
  }
  const { id, email, role, zones, accounts, created_at: createdAt, sha256 } = item
  const hash =
    typeof sha256 === 'string' && SHA256.test(sha256) ? Buffer.from(sha256, 'hex') : undefined
  const bad = (field: string, what: string): CredentialEntry => ({
    hash,
    credential: undefined,
    problem: `${place}/${field} must be ${what}`,
  })
  if (hash === undefined) return bad('sha256', '64 hexadecimal digits')
  if (typeof id !== 'string' || !UUID.test(id)) return bad('id', 'a UUID')
  if (typeof email !== 'string' || !isEmail(email)) return bad('email', 'an e-mail address')
  const known = ROLES.find((name) => name === role)
  if (known === undefined) return bad('role', '"read" or "edit"')
  if (!areScopeIds(zones)) return bad('zones', 'an array of ids')
  if (!areScopeIds(accounts)) return bad('accounts', 'an array of ids')
  if (typeof createdAt !== 'string' || !DATE.test(createdAt)) return bad('created_at', 'a date')
  // A field that this version does not know may narrow what the entry allows.
  if (Object.keys(item).some((field) => !FIELDS.includes(field))) {
    return {
      hash,
      credential: undefined,
      problem: `${place} must have no fields but ${FIELDS.join(', ')}`,
    }
  }
  const credential = { id, email, role: known, zones, accounts, createdAt, hash }
  return { hash, credential, problem: undefined }
}

function areScopeIds(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((id) => typeof id === 'string' && isScopeId(id))
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Credentials as the text of a file. */
export function formatCredentials(credentials: readonly Credential[]): string {
  const entries = credentials.map(({ id, email, role, zones, accounts, createdAt, hash }) => ({
    id,
    email,
    role,
    zones,
    accounts,
    created_at: createdAt,
    sha256: hash.toString('hex'),
  }))
  return `${JSON.stringify({ version: VERSION, credentials: entries }, null, 2)}\n`
}
