import type { CliContext } from '../context.ts'
import { credentialsPath } from '../credentials/credential-command.ts'
import { usageError } from '../failure.ts'

/** Options of `keystay serve`, as commander gives them. */
export interface ServeOptions {
  readonly backend?: string
  readonly store?: string
  readonly oldBackends?: string
  readonly credentials?: string
  readonly refuseNames?: string
  readonly commonName?: string
  readonly quota?: string
  readonly host?: string
  readonly port?: string
  readonly basePath?: string
  readonly maxConnections?: string
  readonly drain?: string
  readonly stopTimeout?: string
  readonly logLevel?: string
}

const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug'] as const

/** Levels of the log. */
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What `keystay serve` is to do, checked. */
export interface ServeSettings {
  readonly store: string
  /** Where older keys are: what the store remembers, nothing, or these. */
  readonly oldBackends: 'remembered' | readonly string[]
  readonly credentials: string
  readonly refuseNames: 'none' | 'cloudflare'
  readonly commonName: 'warn' | 'add'
  readonly quota: number | undefined
  readonly host: string
  readonly port: number
  readonly basePath: string
  readonly maxConnections: number
  readonly drainMs: number
  readonly stopTimeoutMs: number
  readonly logLevel: LogLevel
}

/**
 * Options, else environment variables, else defaults. A variable that is empty is as good as none.
 * @throws {KeystayError} `usage_invalid`
 */
export function readSettings(context: CliContext, options: ServeOptions): ServeSettings {
  const text = (name: keyof ServeOptions): string | undefined => {
    const value = options[name] ?? context.io.env[variableOf(name)]
    return value === '' ? undefined : value
  }
  const choice = <Choice extends string>(
    name: keyof ServeOptions,
    choices: readonly Choice[],
    fallback: Choice,
  ): Choice => {
    const value = text(name) ?? fallback
    const found = choices.find((candidate) => candidate === value)
    if (found !== undefined) return found
    throw usageError(`${nameOf(name)} must be one of ${choices.join(', ')}`)
  }
  const number = <Fallback>(
    name: keyof ServeOptions,
    { from, to, whole = true }: { from: number; to: number; whole?: boolean },
    fallback: Fallback,
  ): number | Fallback => {
    const value = text(name)
    if (value === undefined) return fallback
    const parsed = (whole ? /^\d{1,9}$/ : /^\d{1,6}(?:\.\d{1,3})?$/).test(value)
      ? Number(value)
      : -1
    if (parsed >= from && parsed <= to) return parsed
    const kind = whole ? 'a whole number' : 'a number'
    throw usageError(`${nameOf(name)} must be ${kind} from ${from} to ${to}`)
  }
  return {
    store: text('store') ?? 'sqlite:keystay.db',
    oldBackends: parseOldBackends(text('oldBackends') ?? 'remembered'),
    credentials: credentialsPath(context, options),
    refuseNames: choice('refuseNames', ['none', 'cloudflare'], 'none'),
    commonName: choice('commonName', ['warn', 'add'], 'warn'),
    quota: number('quota', { from: 0, to: 999_999_999 }, undefined),
    host: text('host') ?? '127.0.0.1',
    port: number('port', { from: 0, to: 65_535 }, 8787),
    basePath: checkBasePath(text('basePath') ?? '/client/v4'),
    maxConnections: number('maxConnections', { from: 1, to: 1_000_000 }, 1024),
    drainMs: number('drain', { from: 0, to: 3600, whole: false }, 1) * 1000,
    stopTimeoutMs: number('stopTimeout', { from: 0, to: 3600, whole: false }, 25) * 1000,
    logLevel: choice('logLevel', LOG_LEVELS, 'info'),
  }
}

function parseOldBackends(value: string): ServeSettings['oldBackends'] {
  if (value === 'remembered') return value
  return value === 'none' ? [] : value.split(/\s+/).filter((uri) => uri !== '')
}

function variableOf(name: string): string {
  return `KEYSTAY_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

function nameOf(name: string): string {
  const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  return `--${flag} (${variableOf(name)})`
}

function checkBasePath(path: string): string {
  if (path === '/' || /^(?:\/[A-Za-z0-9._~-]+)+\/?$/.test(path)) return path
  throw usageError('--base-path (KEYSTAY_BASE_PATH) must be a path such as /client/v4, or /')
}
