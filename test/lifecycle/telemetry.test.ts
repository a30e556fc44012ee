import { metrics, trace } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { TracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace'
import { afterAll, expect, test } from 'vitest'
import { createHandler, grantAccess } from '../../src/http/index.ts'
import { RECORD } from '../support/record.ts'
import { openBench } from './support.ts'

const spans = new InMemorySpanExporter()
const points = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter: points })
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }))
trace.setGlobalTracerProvider(
  new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: spans })] }),
)

afterAll(() => {
  metrics.disable()
  trace.disable()
})

test('requests, key operations and failures are measured, by kind and never by whom', async () => {
  await using bench = await openBench()
  const handler = createHandler(bench.service, {
    authorize: () => grantAccess({ actor: 'ops@example.net', role: 'edit', zones: ['demo'] }),
  })
  const url = 'http://localhost/client/v4/zones/demo/custom_csrs'
  const headers = { 'Content-Type': 'application/json' }
  const create = (body: object): Promise<Response> =>
    handler(new Request(url, { method: 'POST', headers, body: JSON.stringify(body) }))
  const created = await create(RECORD)
  const { result } = (await created.json()) as { result: { id: string } }
  await create({ ...RECORD, country: undefined })
  await handler(new Request(`${url}/${result.id}`, { method: 'DELETE' }))

  expect(spans.getFinishedSpans().map(({ name }) => name)).toEqual([
    'keystay.key.generate',
    'keystay.key.sign',
    'keystay.custom_csr.create',
    'POST /client/v4/zones/{zone_id}/custom_csrs',
    'POST /client/v4/zones/{zone_id}/custom_csrs',
    'keystay.key.destroy',
    'DELETE /client/v4/zones/{zone_id}/custom_csrs/{custom_csr_id}',
  ])

  await reader.forceFlush()
  const measured = points
    .getMetrics()
    .flatMap(({ scopeMetrics }) => scopeMetrics)
    .flatMap((scope) => scope.metrics)
    .flatMap(({ descriptor, dataPoints }) =>
      dataPoints.map(({ attributes }) => ({ name: descriptor.name, attributes })),
    )
  const key = { 'keystay.backend': 'webcrypto', 'keystay.key_type': 'p256v1' }
  for (const operation of ['generate', 'sign', 'destroy']) {
    expect(measured).toContainEqual({
      name: 'keystay.key.operation.duration',
      attributes: { 'keystay.operation': operation, ...key },
    })
  }
  expect(measured).toContainEqual({
    name: 'http.server.request.duration',
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/client/v4/zones/{zone_id}/custom_csrs',
      'http.response.status_code': 400,
      'keystay.code': 1405,
    },
  })
  const told = JSON.stringify([measured, spans.getFinishedSpans().map((span) => span.attributes)])
  expect(told).not.toContain('demo')
  expect(told).not.toContain('ops@')
})
