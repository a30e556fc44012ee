import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What came over a connection until the other side closed it, or nothing more came. */
export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** All of it, further answers included. */
  readonly text: string
  /** Why the connection broke, where it did. */
  readonly error: string | undefined
  readonly closed: boolean
}

/** A pause in milliseconds between two parts of what is sent. */
export type Step = string | Buffer | number

/** Sends bytes as they are, and takes what comes. */
export async function sendRaw(
  port: number,
  steps: readonly Step[],
  settings: {
    readonly quietMs?: number
    /** Not only until one answer is there. */
    readonly untilClosed?: boolean
  } = {},
): Promise<RawAnswer> {
  const { quietMs = 3000, untilClosed = false } = settings
  const socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  const chunks: Buffer[] = []
  let error: string | undefined
  let closed = false
  const ended = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      if (!untilClosed && isComplete(Buffer.concat(chunks).toString('latin1'))) resolve()
    })
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      error = cause.code ?? cause.message
    })
    socket.once('end', () => {
      closed = true
      resolve()
    })
    socket.once('close', () => {
      closed = true
      resolve()
    })
    setTimeout(resolve, quietMs).unref()
  })
  for (const step of steps) {
    if (typeof step === 'number') await Promise.race([sleep(step), ended])
    else if (socket.writable) socket.write(step)
  }
  await ended
  socket.destroy()
  const text = Buffer.concat(chunks).toString('latin1')
  return { ...parse(text), text, error, closed }
}

function isComplete(text: string): boolean {
  const [, length] = /^content-length: (\d+)\r$/im.exec(text) ?? []
  const start = text.indexOf('\r\n\r\n')
  if (start === -1 || text.startsWith('HTTP/1.1 1')) return false
  return length !== undefined && text.length >= start + 4 + Number(length)
}

function parse(text: string): Pick<RawAnswer, 'status' | 'headers' | 'body'> {
  const answer = text.replace(/^HTTP\/1\.1 1\d\d[^]*?\r\n\r\n/, '')
  const [, status = '0'] = /^HTTP\/1\.1 (\d{3})/.exec(answer) ?? []
  const end = answer.indexOf('\r\n\r\n')
  const headers = Object.fromEntries(
    answer
      .slice(0, Math.max(end, 0))
      .split('\r\n')
      .slice(1)
      .map((line) => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
      }),
  )
  return { status: Number(status), headers, body: end === -1 ? '' : answer.slice(end + 4) }
}

/** What is wrong with an answer that should be a failure in the API's envelope. */
export function complaintAbout({ status, headers, body, error }: RawAnswer): string | undefined {
  if (status < 400 || status > 499)
    return `status ${status}${error === undefined ? '' : ` ${error}`}`
  if (!headers['content-type']?.startsWith('application/json')) return 'no JSON'
  if (!headers['x-request-id']) return 'no request id'
  let envelope: { success?: unknown; result?: unknown; errors?: unknown; messages?: unknown }
  try {
    envelope = JSON.parse(body) as typeof envelope
  } catch {
    return `not JSON: ${JSON.stringify(body)}`
  }
  const { success, result, errors, messages } = envelope
  const [first] = Array.isArray(errors) ? (errors as { code?: unknown; message?: unknown }[]) : []
  const whole =
    success === false &&
    result === null &&
    Array.isArray(messages) &&
    typeof first?.code === 'number' &&
    typeof first.message === 'string'
  return whole ? undefined : `not the envelope: ${body}`
}
