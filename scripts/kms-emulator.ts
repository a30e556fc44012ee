/**
 * Starts the KMS emulator and prints how to reach it, until interrupted:
 * `npm run --silent kms-emulator [-- --port N --region R]`. `eval` of its output in a shell sets the
 * environment; the backend URI is in `KEYSTAY_BACKEND`.
 */
import { parseArgs } from 'node:util'
import { startKmsEmulator } from '../src/testing/kms-emulator/index.ts'

const { values } = parseArgs({ options: { port: { type: 'string' }, region: { type: 'string' } } })
const emulator = await startKmsEmulator({
  region: values.region,
  port: values.port === undefined ? undefined : Number(values.port),
})
for (const [name, value] of Object.entries({ KEYSTAY_BACKEND: emulator.uri, ...emulator.env })) {
  console.log(`export ${name}='${value}'`)
}
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void emulator.close())
