import type { Logger } from 'pino'
import type { AnswerInfo } from '../../http/index.ts'

/**
 * One line per request. Of what the client sent there is the method and nothing else: a path, a
 * query or a header may hold what somebody put there by mistake.
 */
export function logAnswer(
  log: Logger,
  { requestId, method, route, status, code, durationMs, actor, scope }: AnswerInfo,
): void {
  log[status >= 500 ? 'error' : 'info'](
    {
      request_id: requestId,
      method,
      route,
      status,
      code,
      duration_ms: Math.round(durationMs * 10) / 10,
      actor,
      scope: scope && `${scope.kind}:${scope.id}`,
    },
    'request',
  )
}
