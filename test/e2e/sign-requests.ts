// Run in a worker thread: opens a backend of its own and signs requests with a key of its own.
import { parentPort, workerData } from 'node:worker_threads'
import { openBackend } from '../../backends/index.ts'
import { CsrBuilder } from '../../src/index.ts'

const { uri, count, label } = workerData as { uri: string; count: number; label: string }
await using backend = await openBackend(uri)
const key = await backend.generateKey('p256v1', { label })
const builder = new CsrBuilder({ sans: [`${label.replaceAll(':', '-')}.example.com`] })
const pems: string[] = []
for (let made = 0; made < count; made += 8) {
  const batch = await Promise.all(Array.from({ length: 8 }, () => builder.sign(key)))
  pems.push(...batch.map(({ pem }) => pem))
}
parentPort?.postMessage(pems)
