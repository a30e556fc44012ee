/** Runs one task at a time, in the order in which they were given. */
export type Mutex = <T>(task: () => Promise<T>) => Promise<T>

/** A mutex of its own. A task that fails does not stop the next. */
export function createMutex(): Mutex {
  let last: Promise<unknown> = Promise.resolve()
  return (task) => {
    const run = last.then(task, task)
    last = run.catch(() => undefined)
    return run
  }
}
