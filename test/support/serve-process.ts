import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

const ROOT = resolve(import.meta.dirname, '../..')
const MAIN = resolve(ROOT, 'src/cli/main.ts')
const execute = promisify(execFile)

/** What `keystay credential create --json` prints. */
export interface NewCredential {
  readonly id: string
  readonly email: string
  readonly secret: string
  readonly role: string
  readonly zones: readonly string[]
  readonly accounts: readonly string[]
}

/** Makes a credential with the real command. */
export async function createCredential(
  file: string,
  { role = 'edit', zones }: { readonly role?: 'read' | 'edit'; readonly zones: readonly string[] },
): Promise<NewCredential> {
  const { stdout } = await execute(process.execPath, [
    ...[MAIN, 'credential', 'create', '--credentials', file, '--email', 'ops@example.net'],
    ...['--role', role, '--json', ...zones.flatMap((zone) => ['--zone', zone])],
  ])
  return JSON.parse(stdout) as NewCredential
}

/** A running `keystay serve`. */
export interface ServeProcess extends AsyncDisposable {
  readonly child: ChildProcess
  /** With the base path. */
  readonly url: string
  /** What it has logged. */
  readonly log: readonly string[]
  /** Sends SIGTERM and waits. @returns the exit code */
  stop(): Promise<number | null>
}

/** Starts a program that prints where it listens, as its first URL. */
export async function startServer(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  basePath = '',
): Promise<ServeProcess> {
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log: string[] = []
  const exited = once(child, 'exit') as Promise<[number | null]>
  const listening = new Promise<string>((resolveUrl, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on('line', (line) => {
        log.push(line)
        const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(line) ?? []
        if (url !== undefined) resolveUrl(url)
      })
    }
    void exited.then(() => {
      reject(new Error(`the server ended:\n${log.join('\n')}`))
    })
  })
  const stop = async (): Promise<number | null> => {
    child.kill('SIGTERM')
    return (await exited)[0]
  }
  return {
    child,
    url: `${await listening}${basePath}`,
    log,
    stop,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) await stop()
    },
  }
}

/** Starts `keystay serve` on a free port. */
export function startServe(
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<ServeProcess> {
  return startServer([MAIN, 'serve', '--port', '0', ...args], env, '/client/v4')
}
