import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** One connection, as far as it must be known to end it without losing an answer. */
interface Connection {
  readonly socket: Socket
  /** Begun and not yet ended, the oldest first: HTTP answers in the order of asking. */
  readonly answers: Set<ServerResponse>
  /** How much had been received when it last fell idle; more means that a request is arriving. */
  idleBytes: number
  idleSince: number
}

/** All connections of a server. */
export interface Connections {
  /** Has a request worked on: now, or when `release` is called. */
  begin(request: IncomingMessage, response: ServerResponse, work: () => void): void
  /** Answers that were begun on a connection and have not ended, the oldest first. */
  answersOn(socket: Duplex): readonly ServerResponse[]
  /** From now on requests wait. */
  hold(): void
  /** Has those that wait worked on, and no others wait. */
  release(): void
  /** From now on every answer ends its connection. */
  endWithAnswers(): void
  /** Ends connections on which for so long nothing was asked. */
  endIdle(idleMs: number): void
  /** How many there are, how many there have been, and how many requests are being worked on. */
  count(): { readonly connections: number; readonly accepted: number; readonly requests: number }
  /** Ends all at once. */
  destroyAll(): void
}

/** Keeps track of the connections of a server that does not listen yet. */
export function trackConnections(server: Server): Connections {
  const open = new Map<Duplex, Connection>()
  let held: (() => void)[] | undefined
  let ending = false
  let accepted = 0
  server.on('connection', (socket) => {
    accepted++
    open.set(socket, { socket, answers: new Set(), idleBytes: 0, idleSince: Date.now() })
    socket.once('close', () => open.delete(socket))
  })
  const begin: Connections['begin'] = ({ socket }, response, work) => {
    if (ending) response.setHeader('connection', 'close')
    const connection = open.get(socket)
    connection?.answers.add(response)
    response.once('close', () => {
      if (connection === undefined) return
      connection.answers.delete(response)
      connection.idleBytes = socket.bytesRead
      connection.idleSince = Date.now()
    })
    if (held === undefined) work()
    else held.push(work)
  }
  return {
    begin,
    answersOn: (socket) => [...(open.get(socket)?.answers ?? [])],
    hold: () => {
      held = []
    },
    release: () => {
      const waiting = held ?? []
      held = undefined
      for (const work of waiting) work()
    },
    endWithAnswers: () => {
      ending = true
      for (const { answers } of open.values()) {
        for (const response of answers) {
          if (!response.headersSent) response.setHeader('connection', 'close')
        }
      }
    },
    endIdle: (idleMs) => {
      for (const { socket, answers, idleBytes, idleSince } of open.values()) {
        if (answers.size > 0 || socket.bytesRead > idleBytes) continue
        if (Date.now() - idleSince >= idleMs) socket.destroySoon()
      }
    },
    count: () => {
      const all = [...open.values()]
      const requests = all.reduce((sum, { answers }) => sum + answers.size, 0)
      return { connections: all.length, accepted, requests }
    },
    destroyAll: () => {
      for (const socket of open.keys()) socket.destroy()
    },
  }
}
