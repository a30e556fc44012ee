import {
  SpanStatusCode,
  metrics,
  trace,
  type Attributes,
  type Histogram,
  type UpDownCounter,
} from '@opentelemetry/api'
import { KeystayError } from '../errors.ts'

/** What is measured, and where. */
export interface Operation {
  /** Name of the span, for instance `keystay.key.generate`. */
  readonly name: string
  readonly attributes: Attributes
  /** Seconds by the same attributes and `error.type`, where the operation is worth a metric. */
  readonly duration?: Histogram
  /** How many are under way. */
  readonly running?: UpDownCounter
}

const meter = (): ReturnType<typeof metrics.getMeter> => metrics.getMeter('keystay')

/** The service's instruments. Made with the service, so that the SDK may be set up until then. */
export interface Instruments {
  readonly keyOperationDuration: Histogram
  readonly customCsrsCreating: UpDownCounter
}

export function createInstruments(): Instruments {
  return {
    keyOperationDuration: meter().createHistogram('keystay.key.operation.duration', {
      description: 'Time a backend takes to generate a key, sign with it or destroy it',
      unit: 's',
      advice: {
        explicitBucketBoundaries: [
          0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
        ],
      },
    }),
    customCsrsCreating: meter().createUpDownCounter('keystay.custom_csrs.creating', {
      description: 'Custom CSRs being created, those that wait for the device included',
      unit: '{custom_csr}',
    }),
  }
}

/** What a backend does with a key, as it is observed. */
export function keyOperation(
  { keyOperationDuration }: Instruments,
  operation: 'generate' | 'sign' | 'destroy',
  scheme: string,
  keyType: string,
): Operation {
  return {
    name: `keystay.key.${operation}`,
    attributes: {
      'keystay.operation': operation,
      'keystay.backend': scheme,
      'keystay.key_type': keyType,
    },
    duration: keyOperationDuration,
  }
}

/** Runs work in a span; its time and failure are recorded. Costs nothing without an SDK. */
export async function observe<Result>(
  { name, attributes, duration, running }: Operation,
  work: () => Promise<Result>,
): Promise<Result> {
  const begun = performance.now()
  running?.add(1, attributes)
  return trace.getTracer('keystay').startActiveSpan(name, { attributes }, async (span) => {
    let failure: Attributes = {}
    try {
      return await work()
    } catch (error) {
      failure = { 'error.type': error instanceof KeystayError ? error.code : 'unexpected' }
      span.setAttributes(failure)
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      duration?.record((performance.now() - begun) / 1000, { ...attributes, ...failure })
      running?.add(-1, attributes)
      span.end()
    }
  })
}
