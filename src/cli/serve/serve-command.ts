import { once } from 'node:events'
import type { Logger } from 'pino'
import { createHandler } from '../../http/index.ts'
import type { KeyBackend } from '../../key/backend.ts'
import { checkDurability } from '../../lifecycle/durability.ts'
import { CustomCsrService } from '../../lifecycle/index.ts'
import { openStore, type Store } from '../../store/index.ts'
import { backendUri, type CliContext } from '../context.ts'
import { createFileAuthorizer, type FileAuthorizer } from '../credentials/authorize.ts'
import { credentialsMissing } from '../credentials/credential-file.ts'
import { paint, print, showable, type CliIo } from '../io.ts'
import { createHealth } from './health.ts'
import { DEFAULT_LIMITS, startHttpServer, type RunningServer } from './http-server.ts'
import { createLog } from './log.ts'
import { reconcileRegularly } from './reconcile-regularly.ts'
import { logAnswer } from './request-log.ts'
import { readSettings, type ServeOptions, type ServeSettings } from './settings.ts'

/**
 * `keystay serve`: answers the API until the signal to stop, and then until nobody waits for an
 * answer any more.
 * @throws {KeystayError} `usage_invalid`, `credentials_…`, `backend_not_durable`,
 *   `address_unavailable`, `operation_timeout`, and what opening the backend and the store throws
 */
export async function serve(context: CliContext, options: ServeOptions): Promise<void> {
  const { io } = context
  const settings = readSettings(context, options)
  const uri = backendUri(context, options)
  const log = createLog(io, settings.logLevel)
  const authorizer = openCredentials(settings.credentials, log)
  const { openBackend } = await context.loadBackends()
  // Closed in the opposite order, each when what uses it has ended.
  await using backend = await openBackend(uri, { signal: io.signal })
  await using store = await openStore(settings.store, { signal: io.signal })
  checkDurability(backend, (await backend.capabilities()).durable, store)
  const { oldBackends } = settings
  await using older = listBackends()
  for (const address of oldBackends === 'remembered' ? [] : oldBackends) {
    older.backends.push(await openBackend(address, { signal: io.signal }))
  }
  await using service = new CustomCsrService({
    backend,
    store,
    backends: older.backends,
    openBackend: oldBackends === 'remembered' ? openBackend : undefined,
    refuseNames: settings.refuseNames,
    commonName: settings.commonName,
    quota: settings.quota,
    onError: (error) => {
      log.error({ err: error }, 'background failure')
    },
  })
  const reconciling = reconcileRegularly(service, log)
  try {
    await serveUntilStopped(context, settings, { backend, store, service, authorizer, log })
  } finally {
    await reconciling.stop()
  }
}

/** Backends that are closed together. */
function listBackends(): AsyncDisposable & { readonly backends: KeyBackend[] } {
  const backends: KeyBackend[] = []
  const close = async (): Promise<void> => {
    for (const backend of backends) await backend.close()
  }
  return { backends, [Symbol.asyncDispose]: close }
}

interface Parts {
  readonly backend: KeyBackend
  readonly store: Store
  readonly service: CustomCsrService
  readonly authorizer: FileAuthorizer
  readonly log: Logger
}

async function serveUntilStopped(
  { io }: CliContext,
  settings: ServeSettings,
  parts: Parts,
): Promise<void> {
  const { service, log } = parts
  const health = createHealth({
    checkReady: (call) => service.checkReady(call),
    onError: (error) => {
      log.warn({ err: error }, 'not ready')
    },
  })
  const handler = createApi(settings, parts)
  io.signal.throwIfAborted()
  const server = await startHttpServer(settings, {
    handler: async (request) => (await health.answer(request)) ?? (await handler(request)),
    limits: { maxConnections: settings.maxConnections },
    onRefused: ({ requestId, status, code }) => {
      log.info({ request_id: requestId, status, code }, 'refused')
    },
    onError: (error) => {
      log.error({ err: error }, 'request failed')
    },
  })
  await announce(io, server, settings, parts)
  if (!io.signal.aborted) await once(io.signal, 'abort')
  health.stop()
  await stop(server, settings, log)
}

function createApi(
  { basePath }: ServeSettings,
  { service, authorizer, log }: Parts,
): (request: Request) => Promise<Response> {
  return createHandler(service, {
    authorize: authorizer.authorize,
    basePath,
    maxBodyBytes: DEFAULT_LIMITS.maxBodyBytes,
    onAnswer: (answer) => {
      logAnswer(log, answer)
    },
    onError: (error, { requestId }) => {
      log.error({ request_id: requestId, err: error }, 'request failed')
    },
  })
}

async function announce(
  io: CliIo,
  { host, port }: RunningServer,
  { basePath, credentials }: ServeSettings,
  { backend, store, authorizer, log }: Parts,
): Promise<void> {
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const url = `http://${authority}${basePath.replace(/\/$/, '')}`
  log.info(
    {
      ...{ host, port, url, backend: backend.uri, store: store.uri },
      credentials_file: credentials,
      credentials: authorizer.count(),
    },
    'listening',
  )
  const line = `${paint(io.stderr, 'green', 'keystay')} answers at ${showable(url)}\n`
  // A server works without anybody who reads this.
  await print(io.stderr, line).catch(() => undefined)
}

async function stop(
  server: RunningServer,
  { drainMs, stopTimeoutMs }: ServeSettings,
  log: Logger,
): Promise<void> {
  log.info('stopping')
  try {
    await server.stop({ drainMs, timeoutMs: stopTimeoutMs })
  } catch (error) {
    log.error({ err: error }, 'stopped by force')
    throw error
  }
  log.info('stopped')
}

/** @throws {KeystayError} `credentials_…` */
function openCredentials(path: string, log: Logger): FileAuthorizer {
  const authorizer = createFileAuthorizer(path, {
    onReload: (count) => {
      log.info({ credentials: count }, 'credentials read again')
    },
    onProblem: (problem) => {
      log.error({ problem }, 'credentials')
    },
  })
  if (authorizer.count() === 0) throw credentialsMissing(path)
  return authorizer
}
