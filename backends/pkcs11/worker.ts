import { createRequire } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import type { DriverPackage } from './driver.ts'
import { Operations } from './operations.ts'
import { perform, type ThreadRequest } from './thread.ts'

const { driver } = workerData as { driver: string }
const { PKCS11 } = createRequire(import.meta.url)(driver) as DriverPackage
const operations = new Operations(new PKCS11())

parentPort?.on('message', (request: ThreadRequest) => {
  parentPort?.postMessage(perform(operations, request))
})
