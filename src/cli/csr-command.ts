import {
  chooseSignatureAlgorithm,
  type KeyType,
  type SignatureAlgorithm,
} from '../csr/algorithms.ts'
import { CsrBuilder } from '../csr/csr-builder.ts'
import { parseCustomCsrRequest, type CustomCsrRequest } from '../csr/request/custom-csr-request.ts'
import { KeystayError } from '../errors.ts'
import { checkLabel } from '../key/label.ts'
import { withBackend, type BackendOptions, type CliContext } from './context.ts'
import { applyOptions, overlayRecord, type RequestOptions } from './csr-request.ts'
import { signRequest, withFate, type Plan, type SignedRequest } from './csr-signing.ts'
import { prepareOutFile, readText, type OutFile } from './files.ts'
import { paint, print, printable, toJson, type CliIo } from './io.ts'
import { attestationJson } from './layout.ts'

/** Options of `keystay csr`. */
export interface CsrOptions extends BackendOptions, RequestOptions {
  readonly in?: string
  readonly key?: string
  readonly label?: string
  readonly signatureAlgorithm?: SignatureAlgorithm
  readonly challengePasswordFile?: string
  readonly out?: string
  readonly force?: boolean
}

const DEFAULT_KEY_TYPE: KeyType = 'rsa2048'

/** `keystay csr`: all that can be checked is checked before a key is made. */
export async function createCsr(context: CliContext, options: CsrOptions): Promise<void> {
  const plan = await planRequest(context.io, options)
  const { out, force = false } = options
  const file = out === undefined ? undefined : await prepareOutFile(out, force)
  try {
    await withBackend(context, options, async (backend) => {
      await deliver(context, await signRequest({ context, options, backend, plan }), file)
    })
  } finally {
    await file?.discard()
  }
}

async function planRequest(io: CliIo, options: CsrOptions): Promise<Plan> {
  const { key, label, signatureAlgorithm } = options
  const record = options.in === undefined ? undefined : await readRecord(io, options.in, options)
  const request = applyOptions(record?.request ?? {}, options)
  const challengePassword = await readChallengePassword(io, options.challengePasswordFile)
  const builder = new CsrBuilder({ ...request, challengePassword })
  const statedType = options.keyType ?? record?.keyType
  if (key !== undefined) {
    return { builder, signatureAlgorithm, choice: { uri: key, expectedType: statedType } }
  }
  const keyType = statedType ?? DEFAULT_KEY_TYPE
  chooseSignatureAlgorithm(keyType, signatureAlgorithm)
  if (label !== undefined) checkLabel(label)
  return { builder, signatureAlgorithm, choice: { keyType, label } }
}

/** The request in a file, with the options over it, so that they can also fill what it leaves out. */
async function readRecord(io: CliIo, path: string, options: CsrOptions): Promise<CustomCsrRequest> {
  const text = await readText(io, path)
  let record: unknown
  try {
    record = JSON.parse(text)
  } catch (error) {
    // Not the whole reason, and no cause: they quote the content, and this may be the wrong file.
    const [where = ''] = /\(line \d+ column \d+\)/.exec(String(error)) ?? []
    throw notRecord(path, `is not JSON ${where}`)
  }
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    throw notRecord(path, 'is not a JSON object')
  }
  return parseCustomCsrRequest(overlayRecord(record, options), {
    internationalNames: options.idn,
  })
}

function notRecord(path: string, what: string): KeystayError {
  return new KeystayError(
    'request_invalid',
    `${path === '-' ? 'standard input' : path} ${what.trim()}; keystay csr --help shows a request`,
  )
}

async function readChallengePassword(
  io: CliIo,
  path: string | undefined,
): Promise<string | undefined> {
  if (path === undefined) return undefined
  return (await readText(io, path)).replace(/\r?\n$/, '')
}

async function deliver(
  { io, json }: CliContext,
  signed: SignedRequest,
  file: OutFile | undefined,
): Promise<void> {
  const { key, csr } = signed
  let onStdout = json || file === undefined
  try {
    if (!json) await print(io.stderr, formatNotes(io, signed))
    try {
      await file?.commit(csr.pem)
    } catch (error) {
      // The request must not be lost with the file.
      onStdout = true
      throw error
    } finally {
      if (onStdout) await print(io.stdout, json ? formatJson(signed) : csr.pem)
    }
  } catch (error) {
    throw withFate(io, error, `the key is there: ${key.uri}; to use it, add --key`)
  }
}

function formatNotes({ stderr }: CliIo, { key, csr, attestation }: SignedRequest): string {
  const warn = paint(stderr, 'yellow', 'warning:')
  return [
    ...attestation.concerns.map((concern) => `${warn} ${printable(concern)}`),
    ...csr.convertedNames.map(
      ({ unicode, ascii }) => `${printable(unicode)} is written as ${ascii}`,
    ),
    `key: ${printable(key.uri)}`,
    '',
  ].join('\n')
}

function formatJson({ key, csr, attestation }: SignedRequest): string {
  const answer = {
    key: key.uri,
    label: key.label ?? null,
    key_type: key.keyType,
    signature_algorithm: csr.signatureAlgorithm,
    csr: csr.pem,
    converted_names: csr.convertedNames,
    attestation: attestationJson(attestation),
  }
  return `${toJson(answer)}\n`
}
