import { KeystayError } from '../errors.ts'

/** Where a PostgreSQL database is. */
export interface PostgresAddress {
  /** With the password, if the URI has one: for the driver, and nobody else. */
  readonly address: string
  /** Without anything secret. */
  readonly shown: string
  /** Connections at most. */
  readonly max: number | undefined
}

/** What a store URI says. */
export type StoreUri =
  | { readonly engine: 'sqlite'; readonly path: string }
  | ({ readonly engine: 'postgres' } & PostgresAddress)

const FORMS =
  'a store is sqlite:FILE, sqlite::memory: or postgres://USER@HOST:PORT/DATABASE (also postgresql://)'

/** What of a query names the database and is no secret. */
const SHOWN_PARAMETERS = ['host', 'port']

/** Stands where the host is absent, which `URL` refuses beside a user. */
const NO_HOST = 'no-host.invalid'

function invalid(problem: string): KeystayError {
  // The URI itself may have a password in it.
  return new KeystayError('store_uri_invalid', `${problem}; ${FORMS}`)
}

/** Reads a store URI. @throws {KeystayError} `store_uri_invalid` */
export function parseStoreUri(uri: string): StoreUri {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(uri) ?? []
  switch (scheme.toLowerCase()) {
    case 'sqlite':
      return { engine: 'sqlite', path: readPath(rest) }
    case 'postgres':
    case 'postgresql':
      return { engine: 'postgres', ...readAddress(uri) }
    case '':
      throw invalid('this is not the URI of a store: it has no scheme')
    default:
      throw invalid(`there are no stores of the scheme ${scheme}:`)
  }
}

function readPath(path: string): string {
  if (path === '') throw invalid('sqlite: does not name a file')
  if (path.includes('\0')) throw invalid('the name of the file has a null character in it')
  if (/^\/\/(?!\/)/.test(path)) {
    throw invalid('sqlite://… would take a directory for a host; write sqlite:/path/to/file')
  }
  if (path.startsWith(':') && path !== ':memory:') {
    throw invalid(`sqlite:${path} is not a file; in memory is sqlite::memory:`)
  }
  return path
}

function parseUrl(uri: string): URL {
  try {
    return new URL(uri.replace(/^(\w+:\/\/[^/?#]*@)(?=[/?#]|$)/, `$1${NO_HOST}`))
  } catch {
    throw invalid('this URI of a PostgreSQL store cannot be read: is a character not %-encoded?')
  }
}

function readAddress(uri: string): PostgresAddress {
  if (!/^\w+:\/\//.test(uri)) throw invalid('postgres: is followed by //')
  const url = parseUrl(uri)
  if (url.hash !== '') throw invalid('a # in a user, password or database is written %23')
  const max = readMax(url.searchParams.get('max'))
  const shown = new URL(url)
  shown.password = ''
  shown.search = ''
  for (const name of SHOWN_PARAMETERS) {
    const value = url.searchParams.get(name)
    if (value !== null) shown.searchParams.set(name, value)
  }
  url.searchParams.delete('max')
  return { address: withoutNoHost(url), shown: withoutNoHost(shown), max }
}

function withoutNoHost(url: URL): string {
  return url.href.replace(`@${NO_HOST}`, '@')
}

function readMax(value: string | null): number | undefined {
  if (value === null) return undefined
  const max = /^[1-9]\d{0,2}$/.test(value) ? Number(value) : 0
  if (max >= 2) return max
  throw invalid('max, the number of connections, is from 2 to 999')
}
