import { randomBytes, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { KmsEmulatorError } from './errors.ts'
import {
  checkQuota,
  createFaultPlan,
  DroppedConnection,
  withFault,
  type FaultPlan,
  type KmsFault,
} from './faults.ts'
import { KEY_SPECS } from './key-specs.ts'
import { createKeyStore, type KmsKeyState } from './keys.ts'
import { OPERATIONS, type Account } from './operations.ts'
import { checkAuthorization, readBody } from './request.ts'

export type { KmsErrorName } from './errors.ts'
export type { KmsFault } from './faults.ts'
export type { KmsKeyState } from './keys.ts'

/** What an emulator may be started with. */
export interface KmsEmulatorOptions {
  /** Default `us-east-1`; requests signed for another region are refused. */
  readonly region?: string | undefined
  /** Default: a free one. */
  readonly port?: number | undefined
  /** Keys that the account may have before CreateKey answers LimitExceededException. */
  readonly maxKeys?: number | undefined
  /** Values of KeySpec that CreateKey accepts; default all that the emulator knows. */
  readonly keySpecs?: readonly string[] | undefined
  /** Most entries on a page of a listing, where the request allows more. */
  readonly pageSize?: number | undefined
}

/** A key as the emulator has it, without the private part. */
export interface KmsEmulatorKey {
  readonly id: string
  readonly arn: string
  readonly spec: string
  readonly state: KmsKeyState
  readonly tags: ReadonlyMap<string, string>
}

/** A KMS of one's own for tests: see {@link startKmsEmulator}. */
export interface KmsEmulator extends AsyncDisposable {
  readonly region: string
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string
  /** A backend URI for `openBackend`. */
  readonly uri: string
  /** Environment variables with which any AWS SDK or tool reaches it; made up at every start. */
  readonly env: Readonly<Record<string, string>>
  /** How often each operation was called, refused calls included. */
  calls(): Readonly<Record<string, number>>
  /** Starts counting anew. */
  resetCalls(): void
  keys(): readonly KmsEmulatorKey[]
  /** The next `times` calls of an operation go wrong; several faults queue up. */
  inject(operation: string, fault: KmsFault, times?: number): void
  /** At most this many calls a second are answered, the others throttled. */
  throttle(operation: string, callsPerSecond: number): void
  /** A key that is created from now on is not found by the first `calls` calls that ask for it. */
  hideNewKeys(calls: number): void
  /** Puts a key into a state that no API call leads to. */
  setKeyState(keyId: string, state: KmsKeyState): void
  /** Takes back everything that `inject`, `throttle` and `hideNewKeys` have set. */
  clearFaults(): void
  close(): Promise<void>
}

const ACCOUNT = '111122223333'
const TARGET = /^TrentService\.([A-Za-z]+)$/

/**
 * Starts a fake AWS KMS on 127.0.0.1, for tests: the AWS JSON 1.1 protocol, asymmetric signing keys
 * with the lengths, states, paging and errors of the real one, and switches for what goes wrong in
 * a network. Keys live in memory and end with it. Signatures of requests must be well formed; they
 * are not verified, so anybody on the machine can use it.
 */
export async function startKmsEmulator(options: KmsEmulatorOptions = {}): Promise<KmsEmulator> {
  const { region = 'us-east-1', port = 0, maxKeys = 100_000, pageSize = 1000 } = options
  const account: Account = {
    store: createKeyStore(region, ACCOUNT),
    maxKeys,
    pageSize,
    keySpecs: options.keySpecs ?? ['SYMMETRIC_DEFAULT', ...KEY_SPECS.keys()],
    hiddenCallsOfNewKeys: 0,
  }
  const faults = createFaultPlan()
  const counts = new Map<string, number>()
  const closing = new AbortController()
  const server = createServer((request, response) => {
    void answer({ account, faults, counts, region, closing }, request, response)
  })
  await listen(server, port)
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  async function close(): Promise<void> {
    closing.abort()
    if (!server.listening) return
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }

  return {
    region,
    endpoint,
    uri: `awskms:region=${region};endpoint=${encodeURIComponent(endpoint)}`,
    env: {
      AWS_ACCESS_KEY_ID: `EMULATOR${randomBytes(6).toString('hex').toUpperCase()}`,
      AWS_SECRET_ACCESS_KEY: randomBytes(30).toString('base64url'),
      AWS_REGION: region,
      AWS_ENDPOINT_URL_KMS: endpoint,
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    calls: () => Object.fromEntries(counts),
    resetCalls: () => {
      counts.clear()
    },
    keys: () =>
      Array.from(account.store.keys.values(), ({ id, arn, spec, state, tags }) => ({
        ...{ id, arn, spec, state },
        tags: new Map(tags),
      })),
    inject: (operation, fault, times = 1) => {
      checkOperation(operation)
      const queue = faults.queues.get(operation) ?? []
      faults.queues.set(operation, queue)
      queue.push({ fault, left: times })
    },
    throttle: (operation, callsPerSecond) => {
      checkOperation(operation)
      faults.quotas.set(operation, callsPerSecond)
    },
    hideNewKeys: (calls) => {
      account.hiddenCallsOfNewKeys = calls
    },
    setKeyState: (keyId, state) => {
      const key = account.store.keys.get(keyId)
      if (key === undefined) throw new TypeError(`the emulator has no key ${keyId}`)
      key.state = state
    },
    clearFaults: () => {
      faults.queues.clear()
      faults.quotas.clear()
      account.hiddenCallsOfNewKeys = 0
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

function checkOperation(operation: string): void {
  if (OPERATIONS.has(operation)) return
  throw new TypeError(
    `the emulator has no operation ${operation}; it has ${[...OPERATIONS.keys()].join(', ')}`,
  )
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    // Loopback only: whoever reaches the port can use the keys.
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
}

interface Context {
  readonly account: Account
  readonly faults: FaultPlan
  readonly counts: Map<string, number>
  readonly region: string
  readonly closing: AbortController
}

async function answer(
  context: Context,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    respond(response, 200, await perform(context, request))
  } catch (error) {
    if (error instanceof KmsEmulatorError) {
      respond(response, error.status, { __type: error.name, message: error.message })
    } else if (error instanceof DroppedConnection || context.closing.signal.aborted) {
      response.destroy()
    } else {
      respond(response, 500, { __type: 'KMSInternalException', message: String(error) })
    }
  }
}

async function perform(context: Context, request: IncomingMessage): Promise<unknown> {
  const { account, faults, counts, region, closing } = context
  const name = TARGET.exec(String(request.headers['x-amz-target']))?.[1] ?? ''
  const operation = OPERATIONS.get(name)
  if (request.method !== 'POST' || operation === undefined) {
    throw new KmsEmulatorError('UnknownOperationException', 'The operation is not known')
  }
  counts.set(name, (counts.get(name) ?? 0) + 1)
  const body = await readBody(request)
  checkAuthorization(request, region)
  checkQuota(faults, name)
  return withFault(faults, name, async () => operation(account, body), closing.signal)
}

function respond(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body))
  response.writeHead(status, {
    'content-type': 'application/x-amz-json-1.1',
    'content-length': bytes.length,
    'x-amzn-requestid': randomUUID(),
  })
  response.end(bytes)
}
