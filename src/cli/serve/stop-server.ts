import type { Server } from 'node:http'
import { Server as TcpServer } from 'node:net'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { KeystayError } from '../../errors.ts'
import type { Connections } from './connections.ts'

/** How a server stops. */
export interface StopOptions {
  /** How long new connections are still accepted, so that balancers can turn away. */
  readonly drainMs: number
  /** How long all of it may take. */
  readonly timeoutMs: number
}

/** A request that is on its way arrives within this time, on any network worth the name. */
const IDLE_MS = 500
const LOOK_MS = 20
const QUIET_MS = 10
const PATIENCE_MS = 200
const GLANCE_MS = 0.2

/**
 * Stops a server so that no request loses its answer:
 * 1. For a while all goes on as before: who balances sees that we are no longer ready.
 * 2. The listener is closed, at a moment when nobody is waiting to be accepted.
 * 3. Every answer ends its connection; a connection that has nothing to ask is ended.
 *
 * The system resets connections that wait to be accepted when the listener is closed, whatever they
 * have sent. Hence answers do not end connections before that, which would have clients open new
 * ones; and hence new requests wait for that moment, lest their answers have the same effect.
 * @throws {KeystayError} `operation_timeout`, after the rest was ended by force
 */
export async function stopServer(
  server: Server,
  connections: Connections,
  { drainMs, timeoutMs }: StopOptions,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  await sleep(Math.min(drainMs, timeoutMs))
  connections.hold()
  await untilNobodyConnects(connections)
  const closed = closeListener(server)
  connections.endWithAnswers()
  connections.release()
  while (connections.count().connections > 0 && Date.now() < deadline) {
    connections.endIdle(IDLE_MS)
    await sleep(LOOK_MS)
  }
  const { connections: left, requests } = connections.count()
  connections.destroyAll()
  await closed
  server.close()
  if (left === 0) return
  throw new KeystayError(
    'operation_timeout',
    `${left} connections with ${requests} requests had not ended after ${timeoutMs / 1000} s and were cut; allow more time with --stop-timeout`,
  )
}

/**
 * Node accepts one connection per turn of its loop. When a turn was quick and brought none, after
 * some time in which none came, there is none.
 */
async function untilNobodyConnects(connections: Connections): Promise<void> {
  const begun = performance.now()
  let { accepted } = connections.count()
  let [quietSince, turn] = [begun, begun]
  for (;;) {
    await setImmediate()
    const now = performance.now()
    const came = connections.count().accepted - accepted
    const quick = now - turn < GLANCE_MS
    turn = now
    if (came > 0) {
      accepted += came
      quietSince = now
      continue
    }
    // Where they come all the time, a moment without one must do; and on a slow machine, any.
    const patient = now - begun < PATIENCE_MS
    if (quick && (now - quietSince >= QUIET_MS || !patient)) return
    if (now - begun >= 2 * PATIENCE_MS) return
  }
}

/** Not by http.Server.close, which also ends connections whose next request may be on its way. */
async function closeListener(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    TcpServer.prototype.close.call(server, () => {
      resolve()
    })
  })
}
