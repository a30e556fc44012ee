/** A worker thread of a service: opens a backend of its own, signs with a key, closes, ends. */
import { createPublicKey, verify } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { openPkcs11Backend } from '../../../backends/pkcs11/index.ts'

const { uri, keyUri, count } = workerData as { uri: string; keyUri: string; count: number }

const backend = await openPkcs11Backend(uri)
const key = await backend.getKey(keyUri)
const publicKey = createPublicKey({ key: Buffer.from(key.publicKey), format: 'der', type: 'spki' })
let verified = 0
await Promise.all(
  Array.from({ length: count }, async (_, index) => {
    const message = Buffer.from(`message ${index}`)
    if (verify('sha256', message, publicKey, await key.sign(message))) verified++
  }),
)
await backend.close()
parentPort?.postMessage(verified)
