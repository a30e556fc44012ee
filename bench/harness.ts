/** Something to be measured: one round answers how many microseconds one operation took. */
export interface Contender {
  readonly name: string
  round(): Promise<number>
}

/** What a contender needed, over all rounds. */
export interface Measurement {
  readonly name: string
  /** Microseconds per operation. */
  readonly median: number
  readonly min: number
  readonly max: number
}

/**
 * Measures contenders in turn, round after round, so that a change in the machine's speed meets all
 * of them. The first round warms up and is not counted.
 */
export async function measure(
  contenders: readonly Contender[],
  rounds: number,
): Promise<Measurement[]> {
  const times = contenders.map((): number[] => [])
  for (let round = 0; round <= rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      const time = await contender.round()
      if (round > 0) times[index]?.push(time)
    }
  }
  return contenders.map(({ name }, index) => {
    const sorted = (times[index] ?? []).toSorted((one, other) => one - other)
    const at = (share: number): number =>
      sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN
    return { name, median: at(0.5), min: at(0), max: at(1) }
  })
}

/** A contender that does `count` operations a round, `inFlight` of them at a time. */
export function loop(
  name: string,
  count: number,
  inFlight: number,
  operation: () => Promise<unknown>,
): Contender {
  return {
    name,
    async round() {
      let left = count
      const worker = async (): Promise<void> => {
        while (left-- > 0) await operation()
      }
      const start = performance.now()
      await Promise.all(Array.from({ length: inFlight }, worker))
      return ((performance.now() - start) * 1000) / count
    },
  }
}

/** A contender whose operation does not wait for anything. */
export function tightLoop(name: string, count: number, operation: () => unknown): Contender {
  return {
    name,
    async round() {
      const start = performance.now()
      for (let left = count; left > 0; left--) operation()
      return ((performance.now() - start) * 1000) / count
    },
  }
}

/** Prints a table; the ratio is how many times as fast the first row is. */
export function print(title: string, measurements: readonly Measurement[]): void {
  console.log(`\n${title}`)
  const base = measurements[0]?.median ?? Number.NaN
  const width = Math.max(...measurements.map(({ name }) => name.length))
  for (const { name, median, min, max } of measurements) {
    const figures = [median, min, max].map((figure) => figure.toFixed(figure < 100 ? 2 : 0))
    const [middle, low, high] = figures.map((figure) => figure.padStart(9))
    const ratio = `${(median / base).toFixed(2)}x`.padStart(9)
    console.log(`  ${name.padEnd(width)} ${middle} µs  (${low} –${high})  ${ratio}`)
  }
}
