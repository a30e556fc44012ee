import { CommanderError } from 'commander'
import type { Backends } from './context.ts'
import { describeCauses, describeFailure } from './failure.ts'
import { isClosedOutput, paint, print, toJson, type CliIo } from './io.ts'
import { createProgram } from './program.ts'

/** What {@link runCli} needs beside the arguments. */
export interface RunOptions extends CliIo {
  /** Shown by `--version`. */
  readonly version: string
  /** Replaces the backends of this package. */
  readonly backends?: Backends
}

/**
 * Runs the command.
 * @param argv the arguments after the program's name
 * @returns the exit code: 0 done, 1 failed, 2 the command line is wrong, 130 interrupted
 */
export async function runCli(argv: readonly string[], options: RunOptions): Promise<number> {
  const given = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined)
  const json = given.includes('--json')
  // Not a static import: what only inspects or helps must not load a backend.
  const loadBackends = async (): Promise<Backends> =>
    options.backends ?? (await import('../../backends/index.ts'))
  try {
    const program = createProgram({ io: options, json, loadBackends }, options.version)
    await program.parseAsync(argv, { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0
    if (isClosedOutput(error)) return 0
    return await reportFailure(options, error, { json, debug: given.includes('--debug') })
  }
}

async function reportFailure(
  { stderr, signal }: CliIo,
  error: unknown,
  { json, debug }: { readonly json: boolean; readonly debug: boolean },
): Promise<number> {
  // `keystay` alone has printed its help, which says more than an error would.
  const silent = error instanceof CommanderError && error.code === 'commander.help'
  const failure = describeFailure(error, signal)
  const causes = debug ? describeCauses(error) : []
  const text = json
    ? `${toJson({ error: { ...failure, ...(debug && { causes }) } })}\n`
    : `${paint(stderr, 'red', 'keystay:')} ${failure.message} [${failure.code}]\n${causes.map((line) => `${line}\n`).join('')}`
  // Where standard error has gone as well, the exit code must do.
  if (!silent) await print(stderr, text).catch(() => undefined)
  if (signal.aborted) return 130
  return failure.code === 'usage_invalid' ? 2 : 1
}
