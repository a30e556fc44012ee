import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable, Writable } from 'node:stream'
import { openBackend } from '../../backends/index.ts'
import type { Backends } from '../../src/cli/context.ts'
import { runCli } from '../../src/cli/run.ts'
import type { BackendCapabilities, DiagnosisStep, KeyBackend } from '../../src/key/backend.ts'

export { RECORD as REQUEST } from '../support/record.ts'

/** The program itself. */
export const MAIN: string = join(import.meta.dirname, '../../src/cli/main.ts')

export interface RunSettings {
  readonly stdin?: string | Uint8Array | Readable
  readonly env?: Record<string, string>
  readonly backends?: Backends
  readonly signal?: AbortSignal
  /** The streams that are terminals. */
  readonly tty?: readonly ('stdin' | 'stdout' | 'stderr')[]
  readonly stdout?: Writable
}

export interface RunResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

class Sink extends Writable {
  text = ''
  isTTY = false

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

/** Runs the command in this process. */
export async function run(argv: readonly string[], settings: RunSettings = {}): Promise<RunResult> {
  const { stdin = '', env = {}, backends, tty = [] } = settings
  const stdout = new Sink()
  const stderr = new Sink()
  stdout.isTTY = tty.includes('stdout')
  stderr.isTTY = tty.includes('stderr')
  const input: Readable & { isTTY?: boolean } =
    stdin instanceof Readable ? stdin : Readable.from([Buffer.from(stdin)])
  input.isTTY = tty.includes('stdin')
  const exitCode = await runCli(argv, {
    stdin: input,
    stdout: settings.stdout ?? stdout,
    stderr,
    env,
    signal: settings.signal ?? new AbortController().signal,
    version: '1.2.3',
    ...(backends && { backends }),
  })
  return { exitCode, stdout: stdout.text, stderr: stderr.text }
}

/** A terminal on which somebody will type. */
export function typed(text: string): PassThrough {
  const stream = new PassThrough()
  stream.write(text)
  return stream
}

/** What a fake backend does otherwise than the real one in memory. */
export type Overrides = Partial<Omit<KeyBackend, 'capabilities'>> & {
  readonly capabilities?: Partial<BackendCapabilities>
  readonly steps?: readonly DiagnosisStep[]
}

/** The in-memory backend as if its keys stayed, and with faults. Not closed by the command. */
export async function fakeBackends(
  overrides: Overrides = {},
  existing?: KeyBackend,
): Promise<{ readonly backends: Backends; readonly backend: KeyBackend }> {
  const real = existing ?? (await openBackend('webcrypto:'))
  const { capabilities = {}, steps = [], ...methods } = overrides
  const backend: KeyBackend = {
    scheme: real.scheme,
    uri: real.uri,
    capabilities: async () => ({
      ...(await real.capabilities()),
      durable: true,
      ...capabilities,
    }),
    generateKey: real.generateKey.bind(real),
    getKey: real.getKey.bind(real),
    findKey: real.findKey.bind(real),
    listKeys: real.listKeys.bind(real),
    destroyKey: real.destroyKey.bind(real),
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
    ...methods,
  }
  const backends: Backends = {
    openBackend: async () => backend,
    async *diagnoseBackend() {
      yield* steps
    },
  }
  return { backends, backend }
}

/** The URIs of all keys of a backend. */
export async function keysOf(backend: KeyBackend): Promise<string[]> {
  const uris: string[] = []
  for await (const { uri } of backend.listKeys()) uris.push(uri)
  return uris
}

/** A directory for one test, gone after it. */
export async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'keystay-cli-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** Runs another program with a text on its standard input; answers all that it printed. */
export function pipe(program: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, (error, stdout, stderr) => {
      if (error) reject(new Error(`${program}: ${stderr}`, { cause: error }))
      else resolve(stdout + stderr)
    })
    child.stdin?.end(input)
  })
}

/** Runs the real program, as `npx keystay` does. */
export function spawnCli(
  args: readonly string[],
  settings: { readonly env?: Record<string, string>; readonly input?: string } = {},
): Promise<RunResult> {
  const env = { ...process.env, NO_COLOR: '1', ...settings.env }
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [MAIN, ...args], { env }, (error, stdout, stderr) => {
      const exitCode = typeof error?.code === 'number' ? error.code : error === null ? 0 : -1
      resolve({ exitCode, stdout, stderr })
    })
    child.stdin?.end(settings.input ?? '')
  })
}

/** What a failed `--json` run said. */
export function errorOf({ stderr }: RunResult): {
  code: string
  message: string
  pointer?: string
} {
  return (JSON.parse(stderr) as { error: { code: string; message: string } }).error
}
