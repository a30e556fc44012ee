import type { IncomingMessage, ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'

/** What `node:http`, Express, Fastify and most frameworks of Node call. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/**
 * A Fetch handler as a listener for servers on `node:http`.
 * @example
 * createServer(toNodeListener(createHandler(service, { authorize }))).listen(8787)
 */
export function toNodeListener(
  handler: (request: Request) => Response | Promise<Response>,
): NodeListener {
  // The platform's own Request and Response stay what they are: others may rely on them.
  return getRequestListener(handler, { overrideGlobalObjects: false })
}
