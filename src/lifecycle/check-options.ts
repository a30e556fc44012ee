import { refuse, show } from '../csr/checks.ts'
import type { CsrQuery } from '../store/store.ts'
import type { EventsOptions, ListOptions } from './custom-csr.ts'

const PER_PAGE = { least: 5, default: 20, most: 50 }
/** Beyond any table; keeps the offset a safe integer. */
const MOST_PAGE = 1_000_000_000
const EVENTS = { default: 100, most: 1000 }

/** Which page was asked for, checked. */
export interface CheckedListOptions {
  readonly page: number
  readonly perPage: number
  readonly query: CsrQuery
}

/** @throws {KeystayError} `list_option_invalid` */
export function checkListOptions(options: ListOptions): CheckedListOptions {
  const { page = 1, perPage = PER_PAGE.default, order = 'created_at', direction = 'asc' } = options
  checkInteger(page, '/page', 1, MOST_PAGE)
  checkInteger(perPage, '/perPage', PER_PAGE.least, PER_PAGE.most)
  checkChoice(order, '/order', ['name', 'account_tag', 'created_at'])
  checkChoice(direction, '/direction', ['asc', 'desc'])
  return {
    page,
    perPage,
    query: {
      filter: options.filter,
      // Within a scope there is one account only.
      orderBy: order === 'name' ? 'name' : 'created_at',
      direction,
      offset: (page - 1) * perPage,
      limit: perPage,
    },
  }
}

/** @throws {KeystayError} `list_option_invalid` */
export function checkEventsOptions({ after = 0, limit = EVENTS.default }: EventsOptions): {
  readonly after: number
  readonly limit: number
} {
  checkInteger(after, '/after', 0, Number.MAX_SAFE_INTEGER)
  checkInteger(limit, '/limit', 1, EVENTS.most)
  return { after, limit }
}

function checkInteger(value: unknown, pointer: string, least: number, most: number): void {
  if (Number.isInteger(value) && Number(value) >= least && Number(value) <= most) return
  const given = typeof value === 'number' ? value : show(value)
  refuse(
    'list_option_invalid',
    pointer,
    `${pointer} must be a whole number from ${least} to ${most}, not ${given}`,
  )
}

function checkChoice(value: unknown, pointer: string, choices: readonly string[]): void {
  if (typeof value === 'string' && choices.includes(value)) return
  refuse(
    'list_option_invalid',
    pointer,
    `${pointer} must be one of ${choices.join(', ')}, not ${show(value)}`,
  )
}
