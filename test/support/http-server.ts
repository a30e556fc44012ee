import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { toNodeListener } from '../../src/http/node-listener.ts'

/** A handler that listens. */
export interface ServedHandler extends AsyncDisposable {
  /** Without a path: `http://127.0.0.1:…`. */
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

/** Serves a handler by `node:http` on a free port. */
export async function serveHandler(
  handler: (request: Request) => Promise<Response>,
): Promise<ServedHandler> {
  const listener = toNodeListener(handler)
  const server = createServer((request, response) => void listener(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }
  return { url: `http://127.0.0.1:${port}`, port, close, [Symbol.asyncDispose]: close }
}
