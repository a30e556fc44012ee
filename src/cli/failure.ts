import { inspect } from 'node:util'
import { CommanderError } from 'commander'
import { KeystayError, type ErrorCode } from '../errors.ts'
import { isClosedOutput, showable } from './io.ts'

/** A failure as it is shown to a person or a program. */
export interface Failure {
  readonly code: ErrorCode
  /** One line, without secrets. */
  readonly message: string
  readonly pointer?: string
}

/** The command line itself is at fault: exit code 2. */
export function usageError(message: string): KeystayError {
  return new KeystayError('usage_invalid', message)
}

/** Puts any exception into the shape in which failures are shown. */
export function describeFailure(error: unknown, signal: AbortSignal): Failure {
  if (error instanceof KeystayError) {
    const { code, message, pointer } = error
    return { code, message: showable(message), ...(pointer !== undefined && { pointer }) }
  }
  if (error instanceof CommanderError) return describeUsage(error)
  if (signal.aborted) return { code: 'interrupted', message: 'interrupted' }
  if (isClosedOutput(error)) {
    return { code: 'output_unwritable', message: 'nobody reads the output any more' }
  }
  const message = error instanceof Error ? error.message : String(error)
  return {
    code: 'unexpected',
    message: `${showable(message)}; this should not happen: run again with --debug and report what it prints`,
  }
}

function describeUsage(error: CommanderError): Failure {
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n')
  // What follows the equals sign of an option that we do not know may be anything, a PIN included.
  const complaint = first.replace(/(unknown option '--?[^=']*)=.*'/s, "$1'")
  return {
    code: 'usage_invalid',
    message: showable([complaint, ...rest, 'see keystay --help'].join('; ')),
  }
}

/** An exception with its stack and the chain of its causes, for `--debug`. */
export function describeCauses(error: unknown): readonly string[] {
  // Its stack is that of the parser, and its message may quote anything that was typed.
  if (error instanceof CommanderError) return []
  const lines: string[] = []
  const seen = new Set<unknown>()
  for (let item = error; item !== undefined && !seen.has(item); item = causeOf(item)) {
    seen.add(item)
    const text = item instanceof Error ? (item.stack ?? String(item)) : inspect(item)
    lines.push(...`${lines.length > 0 ? 'caused by ' : ''}${text}`.split('\n').map(showable))
  }
  return lines
}

function causeOf(error: unknown): unknown {
  return error instanceof Error ? error.cause : undefined
}
