import { describe, expect, test } from 'vitest'
import { createRateLimiter, SYSTEM_CLOCK } from '../../../backends/aws-kms/clock.ts'

const never = new AbortController().signal

test('a limiter lets as many begin at once as in a second, the others in turn', async () => {
  const starts: number[] = []
  let now = 1_000_000
  const limiter = createRateLimiter(3, {
    now: () => now,
    delay: async (ms) => {
      starts.push(now + ms)
    },
  })
  const take = async (count: number) => {
    starts.length = 0
    for (let index = 0; index < count; index++) await limiter.take(never)
    return starts.map((start) => start - 1_000_000)
  }
  expect(await take(8)).toEqual([1100, 1100, 1100, 2200, 2200])
  now += 2200
  expect(await take(1)).toEqual([])
  now += 60_000
  expect(await take(3)).toEqual([])
})

describe('the clock of the machine', () => {
  test('waits', async () => {
    const begin = SYSTEM_CLOCK.now()
    expect(Math.abs(begin - Date.now())).toBeLessThan(60_000)
    await SYSTEM_CLOCK.delay(20, never)
    expect(SYSTEM_CLOCK.now() - begin).toBeGreaterThanOrEqual(19)
  })

  test('stops waiting with the reason of the signal', async () => {
    const reason = new Error('enough')
    await expect(SYSTEM_CLOCK.delay(60_000, AbortSignal.abort(reason))).rejects.toBe(reason)
    const controller = new AbortController()
    const waiting = SYSTEM_CLOCK.delay(60_000, controller.signal)
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
  })
})
