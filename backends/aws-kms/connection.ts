import type * as Sdk from '@aws-sdk/client-kms'
import type { CallOptions } from '../../src/csr/signing-key.ts'
import { KeystayError } from '../../src/errors.ts'
import type { KmsClient, KmsOperation } from './client.ts'
import { createRateLimiter, type Clock, type RateLimiter } from './clock.ts'
import { isKeystayError, isUnclear, toKeystayError, type CallContext } from './errors.ts'

/** Every KMS operation that is used, with what goes in and comes out. */
interface Operations extends Record<KmsOperation, [object, object]> {
  CreateKey: [Sdk.CreateKeyCommandInput, Sdk.CreateKeyCommandOutput]
  DescribeKey: [Sdk.DescribeKeyCommandInput, Sdk.DescribeKeyCommandOutput]
  GetPublicKey: [Sdk.GetPublicKeyCommandInput, Sdk.GetPublicKeyCommandOutput]
  ListKeys: [Sdk.ListKeysCommandInput, Sdk.ListKeysCommandOutput]
  ListResourceTags: [Sdk.ListResourceTagsCommandInput, Sdk.ListResourceTagsCommandOutput]
  ScheduleKeyDeletion: [Sdk.ScheduleKeyDeletionCommandInput, Sdk.ScheduleKeyDeletionCommandOutput]
  Sign: [Sdk.SignCommandInput, Sdk.SignCommandOutput]
}

/** Calls a second that KMS allows an account in a region by default (KMS request quotas). */
const DEFAULT_CALLS_PER_SECOND: Readonly<Record<KmsOperation, number>> = {
  CreateKey: 5,
  DescribeKey: 2000,
  GetPublicKey: 2000,
  ListKeys: 500,
  ListResourceTags: 2000,
  ScheduleKeyDeletion: 15,
  Sign: 1000,
}

/** What a connection is made of. */
export interface ConnectionParts {
  readonly sdk: typeof Sdk
  readonly client: KmsClient
  /** Whether `close` destroys the client. */
  readonly ownsClient: boolean
  readonly region: string
  readonly timeoutMs: number
  readonly callsPerSecond: Partial<Readonly<Record<KmsOperation, number>>>
  readonly clock: Clock
}

/** Hides an error from the SDK's retries, which look at names, codes, status and causes. */
class NotRetried extends Error {
  readonly hidden: unknown

  constructor(hidden: unknown) {
    super('not to be retried')
    this.hidden = hidden
  }
}

/** A client with what every call needs: quota, deadline, error codes, an orderly end. */
export class KmsConnection {
  readonly region: string
  readonly clock: Clock
  readonly client: KmsClient
  readonly #parts: ConnectionParts
  readonly #limiters = new Map<KmsOperation, RateLimiter>()
  #host: string | undefined
  readonly #pending = new Set<Promise<unknown>>()
  readonly #closing = new AbortController()

  constructor(parts: ConnectionParts) {
    this.#parts = parts
    this.region = parts.region
    this.clock = parts.clock
    this.client = parts.client
  }

  /** Where the last call went. */
  get host(): string | undefined {
    return this.#host
  }

  /** Does the work of one method; `close` waits for it. @throws {KeystayError} `backend_closed` */
  async run<Result>(
    options: CallOptions | undefined,
    work: (signal: AbortSignal | undefined) => Promise<Result>,
  ): Promise<Result> {
    if (this.#closing.signal.aborted) throw closedError()
    const signal = options?.signal
    signal?.throwIfAborted()
    const pending = work(signal)
    this.#pending.add(pending)
    try {
      return await pending
    } finally {
      this.#pending.delete(pending)
    }
  }

  /**
   * Calls KMS. The deadline covers the SDK's own retries.
   * @throws {KeystayError} the codes of `toKeystayError`; the signal's reason where it is aborted
   */
  async call<Operation extends KmsOperation>(
    operation: Operation,
    input: Operations[Operation][0],
    signal: AbortSignal | undefined,
  ): Promise<Operations[Operation][1]> {
    const { sdk, client, timeoutMs, region } = this.#parts
    const keyId = 'KeyId' in input ? input.KeyId : undefined
    const context: CallContext = { operation, keyId, region }
    await this.#wait((waiting) => this.#limiter(operation).take(waiting), signal)
    const deadline = AbortSignal.timeout(timeoutMs)
    const abortSignal = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
    // The table above ties each operation to its own command; the union of them all says less.
    const Command = sdk[`${operation}Command`] as new (value: typeof input) => Sdk.CreateKeyCommand
    const command = new Command(input)
    this.#watch(command, context)
    try {
      return (await client.send(command as never, { abortSignal })) as Operations[Operation][1]
    } catch (error) {
      signal?.throwIfAborted()
      const cause = error instanceof NotRetried ? error.hidden : error
      if (!deadline.aborted) throw toKeystayError(cause, context)
      throw new KeystayError(
        'kms_timeout',
        `AWS KMS did not answer ${operation} within ${timeoutMs} ms; try again or raise timeoutMs`,
      )
    }
  }

  /** Sees each attempt from inside the SDK's retry loop, which stands first in this step. */
  #watch(command: Sdk.CreateKeyCommand, context: CallContext): void {
    command.middlewareStack.add(
      (next) => async (args) => {
        this.#host = (args.request as { readonly hostname?: string }).hostname
        try {
          return await next(args)
        } catch (error) {
          throw mayRetry(error, context) ? error : new NotRetried(error)
        }
      },
      { step: 'finalizeRequest', priority: 'low', name: 'keystayWatch' },
    )
  }

  /** Waits between two calls; a closing backend does not wait. */
  async delay(ms: number, signal: AbortSignal | undefined): Promise<void> {
    await this.#wait((waiting) => this.clock.delay(ms, waiting), signal)
  }

  async #wait(
    work: (signal: AbortSignal) => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const closing = this.#closing.signal
    await work(signal === undefined ? closing : AbortSignal.any([signal, closing]))
  }

  #limiter(operation: KmsOperation): RateLimiter {
    let limiter = this.#limiters.get(operation)
    if (limiter === undefined) {
      const { callsPerSecond, clock } = this.#parts
      const perSecond = callsPerSecond[operation] ?? DEFAULT_CALLS_PER_SECOND[operation]
      limiter = createRateLimiter(perSecond, clock)
      this.#limiters.set(operation, limiter)
    }
    return limiter
  }

  /** Refuses new work, ends what waits between calls, awaits calls under way. */
  async close(): Promise<void> {
    this.#closing.abort(closedError())
    await Promise.allSettled(this.#pending)
    if (this.#parts.ownsClient) this.#parts.client.destroy()
  }
}

function closedError(): KeystayError {
  return new KeystayError('backend_closed', 'the AWS KMS backend is closed; open it again')
}

/**
 * CreateKey has no client token: were it sent again after a lost answer, there would be two keys.
 * So the SDK may retry it only where KMS has certainly not created one. The quota of keys, which
 * the SDK takes for throttling, is not retried either.
 */
function mayRetry(error: unknown, context: CallContext): boolean {
  if (context.operation !== 'CreateKey') return true
  const classified = toKeystayError(error, context)
  return !isUnclear(classified) && !isKeystayError(classified, 'kms_key_quota_reached')
}
