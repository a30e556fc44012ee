import { SpanKind, SpanStatusCode, metrics, trace, type Attributes } from '@opentelemetry/api'
import type { AnswerInfo } from './answer.ts'

/** Observes the answering of one request. */
export type ObserveRequest = (
  method: string,
  answer: () => Promise<{ readonly response: Response; readonly info: AnswerInfo }>,
) => Promise<Response>

/**
 * A span and a duration for each request, by the conventions of OpenTelemetry for HTTP servers.
 * Costs next to nothing without an SDK.
 */
export function createRequestObserver(): ObserveRequest {
  const duration = metrics.getMeter('keystay').createHistogram('http.server.request.duration', {
    description: 'Duration of HTTP server requests',
    unit: 's',
  })
  return (method, answer) =>
    trace
      .getTracer('keystay')
      .startActiveSpan(nameOf(method), { kind: SpanKind.SERVER }, async (span) => {
        try {
          const { response, info } = await answer()
          const attributes = attributesOf(info)
          if (info.route !== undefined) span.updateName(`${nameOf(method)} ${info.route}`)
          span.setAttributes({ ...attributes, 'keystay.request_id': info.requestId })
          if (info.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
          duration.record(info.durationMs / 1000, attributes)
          return response
        } finally {
          span.end()
        }
      })
}

const METHODS: ReadonlySet<string> = new Set([
  ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
])

/** A client may make up methods, and each would be a span and a metric of its own. */
function nameOf(method: string): string {
  return METHODS.has(method) ? method : 'HTTP'
}

function attributesOf({ method, route, status, code }: AnswerInfo): Attributes {
  return {
    'http.request.method': METHODS.has(method) ? method : '_OTHER',
    'http.response.status_code': status,
    ...(route !== undefined && { 'http.route': route }),
    ...(code !== undefined && { 'keystay.code': code }),
  }
}
