import { KeystayError } from '../../errors.ts'

/** Whether a server is alive, and whether it can do its work. */
export interface Health {
  /** Answers `/healthz` and `/readyz`; `undefined` where another path is asked for. */
  answer(request: Request): Promise<Response | undefined>
  /** From now on it is not ready. */
  stop(): void
}

/** What health is asked of. */
export interface HealthParts {
  /** `CustomCsrService.checkReady`. */
  readonly checkReady: (options: { readonly signal: AbortSignal }) => Promise<void>
  readonly onError?: (error: unknown) => void
}

const CHECK_TIMEOUT_MS = 5_000
/** A check costs a signature, which a KMS charges for; whoever balances asks every second. */
const FRESH_MS = 5_000

interface Readiness {
  readonly ready: boolean
  readonly reason?: string
}

/** Answers whether a server is alive and ready, to anybody: no detail that helps an attacker. */
export function createHealth({ checkReady, onError }: HealthParts): Health {
  let stopping = false
  let last: { readonly result: Promise<Readiness>; readonly until: number } | undefined
  const check = async (): Promise<Readiness> => {
    try {
      await checkReady({ signal: AbortSignal.timeout(CHECK_TIMEOUT_MS) })
      return { ready: true }
    } catch (error) {
      onError?.(error)
      return { ready: false, reason: describe(error) }
    }
  }
  const readiness = async (): Promise<Readiness> => {
    if (stopping) return { ready: false, reason: 'the server is stopping' }
    // Kept while it is under way, too, so that many who ask make one check.
    if (last === undefined || Date.now() >= last.until) {
      const result = check()
      last = { result, until: Infinity }
      void result.then(() => {
        last = { result, until: Date.now() + FRESH_MS }
      })
    }
    return last.result
  }
  return {
    answer: async (request) => {
      const { pathname } = new URL(request.url)
      if (pathname !== '/healthz' && pathname !== '/readyz') return undefined
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        return respond(405, { status: 'method not allowed' }, { allow: 'GET, HEAD' })
      }
      if (pathname === '/healthz') return respond(200, { status: 'ok' })
      const { ready, reason } = await readiness()
      return ready
        ? respond(200, { status: 'ok' })
        : respond(503, { status: 'unavailable', reason })
    },
    stop: () => {
      stopping = true
    },
  }
}

function describe(error: unknown): string {
  const store = error instanceof KeystayError && error.code.startsWith('store_')
  return store ? 'the store does not answer' : 'the backend does not sign'
}

function respond(status: number, body: object, headers: Record<string, string> = {}): Response {
  return Response.json(body, {
    status,
    headers: { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', ...headers },
  })
}
