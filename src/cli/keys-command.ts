import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { encodePem } from '../csr/pem.ts'
import { KeystayError } from '../errors.ts'
import type { Attestation } from '../key/attestation.ts'
import type { BackendKey, KeyListing } from '../key/backend.ts'
import { withBackend, type BackendOptions, type CliContext } from './context.ts'
import { usageError } from './failure.ts'
import { paint, print, printable, showable, showDate, toJson, type CliIo } from './io.ts'
import { attestationFields, attestationJson, describeDestruction, formatFields } from './layout.ts'

/** Options of `keystay keys list`. */
export interface ListOptions extends BackendOptions {
  readonly label?: string
}

/** `keystay keys list`: prints as the device answers, so that a long listing needs no memory. */
export async function listKeys(context: CliContext, options: ListOptions): Promise<void> {
  await withBackend(context, options, async (backend) => {
    const keys = backend.listKeys({ labelPrefix: options.label, signal: context.io.signal })
    await (context.json ? printArray(context, keys) : printTable(context, keys))
  })
}

async function printArray(context: CliContext, keys: AsyncIterable<KeyListing>): Promise<void> {
  const { stdout } = context.io
  let separator = '[\n'
  for await (const { uri, label, keyType, state, createdAt } of keys) {
    const key = {
      uri,
      label: label ?? null,
      key_type: keyType ?? null,
      state,
      created_at: createdAt ?? null,
    }
    await print(stdout, separator + toJson(key))
    separator = ',\n'
  }
  await print(stdout, separator === '[\n' ? '[]\n' : '\n]\n')
}

const COLUMNS: readonly number[] = [9, 11, 20, 44, 0]

function row(cells: readonly string[]): string {
  const padded = cells.map((cell, index) => printable(cell).padEnd(COLUMNS[index] ?? 0))
  return `${padded.join('  ')}\n`
}

async function printTable(context: CliContext, keys: AsyncIterable<KeyListing>): Promise<void> {
  const { stdout, stderr } = context.io
  let count = 0
  for await (const { uri, label, keyType, state, createdAt } of keys) {
    if (count++ === 0) {
      await print(stdout, paint(stdout, 'bold', row(['TYPE', 'STATE', 'CREATED', 'LABEL', 'KEY'])))
    }
    const created = createdAt === undefined ? '-' : showDate(createdAt)
    await print(stdout, row([keyType ?? 'other', state, created, label ?? '-', uri]))
  }
  if (count === 0) await print(stderr, 'no keys\n')
}

/** `keystay keys show`: what the backend knows of one key. */
export async function showKey(
  context: CliContext,
  uri: string,
  options: BackendOptions,
): Promise<void> {
  const { io, json } = context
  await withBackend(context, options, async (backend) => {
    const key = await backend.getKey(uri, { signal: io.signal })
    const attestation = await key.attest({ signal: io.signal })
    await print(io.stdout, json ? keyJson(key, attestation) : keyText(io, key, attestation))
  })
}

function keyJson(key: BackendKey, attestation: Attestation): string {
  const { uri, label, keyType, publicKey } = key
  return `${toJson({
    uri,
    label: label ?? null,
    key_type: keyType,
    public_key: encodePem('PUBLIC KEY', publicKey),
    attestation: attestationJson(attestation),
  })}\n`
}

function keyText(io: CliIo, key: BackendKey, attestation: Attestation): string {
  const fields = formatFields(io.stdout, [
    ['Key', printable(key.uri)],
    ['Label', printable(key.label ?? '-')],
    ['Type', key.keyType],
    ['SHA-256', `${createHash('sha256').update(key.publicKey).digest('hex')} (public key)`],
    ...attestationFields(attestation),
  ])
  return `${fields}\n${encodePem('PUBLIC KEY', key.publicKey)}`
}

/** Options of `keystay keys destroy`. */
export interface DestroyOptions extends BackendOptions {
  readonly yes?: boolean
}

/** `keystay keys destroy`: for good, so somebody must have said yes. */
export async function destroyKey(
  context: CliContext,
  uri: string,
  options: DestroyOptions,
): Promise<void> {
  const { io, json } = context
  if (options.yes !== true && io.stdin.isTTY !== true) {
    throw usageError('destroying a key cannot be undone; add --yes where nobody can be asked')
  }
  await withBackend(context, options, async (backend) => {
    if (options.yes !== true) await confirm(io, uri)
    const result = await backend.destroyKey(uri, { signal: io.signal })
    if (json) {
      const scheduledFor = result.state === 'scheduled' ? result.at : null
      const answer = { uri, state: result.state, scheduled_for: scheduledFor }
      await print(io.stdout, `${toJson(answer)}\n`)
    } else {
      await print(io.stdout, `${describeDestruction(result)}\n`)
    }
  })
}

/** Asks on the terminal. @throws {KeystayError} `not_confirmed` */
async function confirm(io: CliIo, uri: string): Promise<void> {
  await print(io.stderr, `Destroy ${showable(uri)} for good? Type yes: `)
  const { stdin, signal } = io
  let answer = ''
  // No raw mode: Ctrl-C stays a signal, and a pasted answer is a line.
  for await (const line of createInterface({ input: stdin, terminal: false, signal })) {
    answer = line.trim()
    break
  }
  signal.throwIfAborted()
  if (answer !== 'yes') {
    throw new KeystayError(
      'not_confirmed',
      'the key was not destroyed; only the answer "yes" does it',
    )
  }
}
