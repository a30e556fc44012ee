import { pino, type Logger } from 'pino'
import { redactUri } from '../../key/uri.ts'
import { escapeUnprintable, type CliIo } from '../io.ts'
import type { LogLevel } from './settings.ts'

const MAX_CAUSES = 5

/** An error for the log: what is known to be harmless of it, and no other property. */
interface LoggedError {
  readonly type: string
  readonly code?: string
  readonly message: string
  readonly stack?: string
  readonly cause?: LoggedError
}

// A password in the authority of a URI (RFC 3986 section 3.2.1), up to the last @ before the path.
const URI_PASSWORD = /(:\/\/[^\s/:@]*):[^\s/]*@/g

/** A text without what may be secret in the URIs that it quotes. */
export function redact(text: string): string {
  return redactUri(text).replace(URI_PASSWORD, '$1:***@')
}

/** What of an error is written to the log. Drivers put rows, requests and more into theirs. */
export function describeError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: redact(String(error)) }
  const { name, message, stack, cause } = error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return {
    type: name,
    ...(code !== undefined && { code }),
    message: redact(message),
    ...(stack !== undefined && { stack: redact(stack) }),
    ...(cause !== undefined && depth < MAX_CAUSES && { cause: describeError(cause, depth + 1) }),
  }
}

/** A log of one JSON object per line on standard output. */
export function createLog({ stdout }: Pick<CliIo, 'stdout'>, level: LogLevel): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => describeError(error) },
      // Whoever follows the log does so on a terminal.
      hooks: { streamWrite: escapeUnprintable },
    },
    stdout,
  )
}
