// A server that answers within milliseconds, for tests of how it stops: prints its port, and stops on SIGTERM.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { startHttpServer } from '../../src/cli/serve/http-server.ts'

const server = await startHttpServer(
  { host: '127.0.0.1', port: 0 },
  {
    handler: async (request) => {
      await sleep(Math.random() * 3)
      return new Response(await request.text())
    },
  },
)
const stop = once(process, 'SIGTERM')
console.log(server.port)
await stop
await server.stop({ drainMs: 200, timeoutMs: 10_000 })
