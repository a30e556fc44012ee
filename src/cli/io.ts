import type { Readable, Writable } from 'node:stream'
import { styleText } from 'node:util'
import { redactUri } from '../key/uri.ts'

/** The world as the command sees it: given by the process, or by a test. */
export interface CliIo {
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number }
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number }
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborted when the user wants to stop. */
  readonly signal: AbortSignal
}

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

/** Colours a text, where the stream is a terminal that wants colours (NO_COLOR, TERM=dumb). */
export function paint(stream: Writable, style: Style, text: string): string {
  return styleText(style, text, { stream })
}

/** What went wrong when we wrote, and not somewhere in a device's connection. */
const outputErrors = new WeakSet<Error>()

/** Whether the reader of our output has gone (`| head`), which is no failure of ours. */
export function isClosedOutput(error: unknown): boolean {
  if (!(error instanceof Error) || !outputErrors.has(error)) return false
  const { code } = error as NodeJS.ErrnoException
  return code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED'
}

/** Writes, and waits until it is written. */
export async function print(stream: Writable, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(text, (error) => {
      if (!error) {
        resolve()
        return
      }
      outputErrors.add(error)
      reject(error)
    })
  })
}

// Controls, format characters (bidirectional overrides, zero widths) and line separators: what
// could move the cursor, or make a name look like another one.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** A text from outside as one line that is safe on a terminal: `\u{1b}` instead of an escape. */
export function printable(text: string): string {
  return text.replace(
    UNPRINTABLE,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )
}

/** What a user or a device said, as one line that is safe to show: no secret, nothing unprintable. */
export function showable(text: string): string {
  return printable(redactUri(text))
}

// What JSON.stringify leaves as it is, although a terminal may act on it.
const UNPRINTABLE_IN_JSON = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu

function escapeForJson(character: string): string {
  return Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
  ).join('')
}

/** For JSON.stringify. Not its argument `item`: of a Buffer that is no longer the bytes. */
function encodeBytes(
  this: Readonly<Record<string, unknown>>,
  name: string,
  item: unknown,
): unknown {
  const value = this[name]
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : item
}

/** JSON as it is safe on a terminal. */
export function escapeUnprintable(json: string): string {
  return json.replace(UNPRINTABLE_IN_JSON, escapeForJson)
}

/** A value as JSON that is safe on a terminal: bytes as base64, dates as RFC 3339. */
export function toJson(value: unknown): string {
  return escapeUnprintable(JSON.stringify(value, encodeBytes, 2))
}

/** A date to the second, as RFC 3339 has it. */
export function showDate(date: Date): string {
  return date.toISOString().replace(/\.\d+Z$/, 'Z')
}

/** Says on a terminal what is being waited for, and takes it back when it is there. */
export async function withProgress<Result>(
  { stderr }: CliIo,
  text: string,
  work: () => Promise<Result>,
): Promise<Result> {
  if (stderr.isTTY !== true) return await work()
  await print(stderr, `${text} …`)
  try {
    return await work()
  } finally {
    await print(stderr, '\r\u001b[K')
  }
}
