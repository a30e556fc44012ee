import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { DriverPackage, LoadedDriver } from './driver.ts'
import { Operations } from './operations.ts'
import { createReturnValueError, returnValueOf } from './return-values.ts'

/** The operations by name. */
export type OperationName = keyof Operations

/** What the worker is asked. */
export interface ThreadRequest {
  readonly id: number
  readonly name: OperationName
  readonly args: readonly unknown[]
}

/** What the worker answers. */
export type ThreadReply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly ckr: number }
  | { readonly id: number; readonly message: string }

/** A thread of its own that runs {@link Operations}, one at a time, in the order of the calls. */
export interface NativeThread {
  call<Name extends OperationName>(
    name: Name,
    ...args: Parameters<Operations[Name]>
  ): Promise<ReturnType<Operations[Name]>>
  /** Ends it. Calls that are under way reject; the one that runs ends in the module all the same. */
  stop(): void
}

/** Runs one operation and puts its outcome in a form that can be sent. */
export function perform(operations: Operations, request: ThreadRequest): ThreadReply {
  const { id, name, args } = request
  try {
    const run = operations[name].bind(operations) as (...args: readonly unknown[]) => unknown
    return { id, result: run(...args) }
  } catch (error) {
    const ckr = returnValueOf(error)
    return ckr === undefined ? { id, message: (error as Error).message } : { id, ckr }
  }
}

/** What is waiting for an answer. */
interface Pending {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

function settle(pending: Pending | undefined, reply: ThreadReply): void {
  if ('result' in reply) pending?.resolve(reply.result)
  else if ('ckr' in reply) pending?.reject(createReturnValueError(reply.ckr))
  else pending?.reject(new Error(reply.message))
}

/** What a worker needs: its own code, and the driver's. */
interface WorkerFiles {
  readonly code: URL
  readonly driver: string
}

/**
 * Where the worker's code is: beside this file in the source, or in the package's `dist`, where
 * the bundler moves shared code up to a chunk.
 */
function findWorker({ file }: LoadedDriver): WorkerFiles | undefined {
  const code = ['./worker.ts', './worker.js', './backends/pkcs11/worker.js']
    .map((path) => new URL(path, import.meta.url))
    .find((url) => url.protocol === 'file:' && existsSync(url))
  return code === undefined || file === undefined ? undefined : { code, driver: file }
}

/** Whether {@link startThread} starts threads, and does not run in the caller's. */
export function canStartThreads(driver: LoadedDriver): boolean {
  return findWorker(driver) !== undefined
}

/**
 * A thread that has loaded the driver and the module. Runs in the caller's thread where the driver
 * cannot be loaded again (an instance from a bundle, or a test's own).
 */
export async function startThread(driver: LoadedDriver, modulePath: string): Promise<NativeThread> {
  const worker = findWorker(driver)
  const thread = worker === undefined ? startInline(driver.driverPackage) : startWorker(worker)
  try {
    await thread.call('load', modulePath)
  } catch (error) {
    thread.stop()
    throw error
  }
  return thread
}

function startInline(driverPackage: DriverPackage): NativeThread {
  const operations = new Operations(new driverPackage.PKCS11())
  return {
    call: (name, ...args) =>
      new Promise((resolve, reject) => {
        const pending = { resolve: resolve as (result: unknown) => void, reject }
        settle(pending, perform(operations, { id: 0, name, args }))
      }),
    stop: () => undefined,
  }
}

function startWorker({ code, driver }: WorkerFiles): NativeThread {
  // The program's own flags may not suit a worker: with --input-type, as for --eval, none starts.
  const worker = new Worker(code, { workerData: { driver }, execArgv: [] })
  const pending = new Map<number, Pending>()
  let lastId = 0
  let ended: Error | undefined
  const end = (error: Error) => {
    ended ??= error
    for (const { reject } of pending.values()) reject(ended)
    pending.clear()
  }
  worker.on('message', (reply: ThreadReply) => {
    const waiting = pending.get(reply.id)
    pending.delete(reply.id)
    // An idle thread does not keep the process alive.
    if (pending.size === 0) worker.unref()
    settle(waiting, reply)
  })
  worker.on('error', end)
  worker.on('exit', () => {
    end(new Error('the PKCS#11 thread ended'))
  })
  worker.unref()
  return {
    call: (name, ...args) =>
      new Promise((resolve, reject) => {
        if (ended !== undefined) {
          reject(ended)
          return
        }
        const id = ++lastId
        pending.set(id, { resolve: resolve as (result: unknown) => void, reject })
        if (pending.size === 1) worker.ref()
        worker.postMessage({ id, name, args } satisfies ThreadRequest)
      }),
    stop: () => {
      end(new Error('the PKCS#11 thread was stopped'))
      void worker.terminate()
    },
  }
}
