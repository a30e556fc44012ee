import type { Context } from 'hono'
import { accepts } from 'hono/accepts'

/**
 * Which of the types is wanted (RFC 9110 section 12.5.1): by quality, then the one that was named
 * more exactly, then the one that stands first here. The first also where none is wanted.
 */
export function negotiate(context: Context, types: readonly [string, ...string[]]): string {
  return accepts(context, {
    header: 'Accept',
    supports: [...types],
    default: types[0],
    match: (ranges) => choose(ranges, types),
  })
}

/** One range of the header, as Hono reads it. */
interface Range {
  readonly type: string
  readonly q: number
}

interface Rating {
  readonly quality: number
  readonly precision: number
}

function choose(ranges: readonly Range[], types: readonly [string, ...string[]]): string {
  let best: readonly [type: string, rating: Rating] = [types[0], { quality: 0, precision: 0 }]
  for (const type of types) {
    const rating = rate(type, ranges)
    const [, { quality, precision }] = best
    const better =
      rating.quality > quality || (rating.quality === quality && rating.precision > precision)
    if (better && rating.quality > 0) best = [type, rating]
  }
  return best[0]
}

/** What the most exact range that fits says of a type. */
function rate(type: string, ranges: readonly Range[]): Rating {
  const forms = ['*/*', `${type.split('/')[0] ?? ''}/*`, type]
  return ranges.reduce<Rating>(
    (found, range) => {
      const precision = forms.indexOf(range.type.toLowerCase()) + 1
      return precision > found.precision ? { quality: range.q, precision } : found
    },
    { quality: 0, precision: 0 },
  )
}
