import type { z } from 'zod'
import { pointerTo, show } from '../csr/checks.ts'
import { GENERAL, type FieldCodes, type ResourceCodes, type WireCode } from './error-table.ts'
import { entry, WireError, type WireMessage } from './wire-error.ts'

/** More would help nobody, and a body could ask for thousands. */
const MAX_ERRORS = 20

/**
 * A body of the schema's form. What the schemas say in `error` is how a value must be.
 * @throws {WireError} with all that is wrong, in the order of the fields
 */
export function checkBody<T>(
  schema: z.ZodType<T>,
  body: Readonly<Record<string, unknown>>,
  codes: ResourceCodes,
): T {
  const { data, error } = schema.safeParse(body)
  if (error === undefined) return data
  const found = error.issues.slice(0, MAX_ERRORS).flatMap((issue) => describe(issue, body, codes))
  throw new WireError(codes.body, found.slice(0, MAX_ERRORS))
}

function describe(
  issue: z.core.$ZodIssue,
  body: Readonly<Record<string, unknown>>,
  codes: ResourceCodes,
): WireMessage[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys
      .slice(0, MAX_ERRORS)
      .map((key) =>
        entry(codes.body, `${show(key)} ${issue.message}`, { pointer: pointerTo('', key) }),
      )
  }
  const [field = '', index] = issue.path.map(String)
  const own = Object.hasOwn(codes.fields, field) ? codes.fields[field] : undefined
  const whole = body[field]
  const value: unknown = index === undefined ? whole : (whole as readonly unknown[])[Number(index)]
  const pointer = issue.path.reduce<string>((at, step) => pointerTo(at, String(step)), '')
  const kind = chooseKind(issue, index !== undefined, own) ?? codes.body
  return [entry(kind, sayWrong(pointer, issue.message, value), { pointer })]
}

function chooseKind(
  issue: z.core.$ZodIssue,
  isItem: boolean,
  own: FieldCodes | undefined,
): WireCode | undefined {
  if (isItem) return own?.item
  // Lengths are refinements, because characters are to be counted and not UTF-16 units.
  return issue.code === 'custom' ? (own?.long ?? own?.any) : own?.any
}

function sayWrong(what: string, rule: string, value: unknown): string {
  return value === undefined
    ? `${what} is missing; it must be ${rule}`
    : `${what} must be ${rule}, not ${show(value)}`
}

/**
 * The query's parameters that the schema knows; others are ignored, for clients send more.
 * @throws {WireError} 400, with all that is wrong
 */
export function checkQuery<T>(schema: z.ZodType<T>, query: URLSearchParams): T {
  const given: Record<string, unknown> = {}
  for (const name of new Set(query.keys())) {
    const values = query.getAll(name)
    // One that is given twice is no text, and so refused by every rule.
    given[name] = values.length === 1 ? values[0] : values
  }
  const { data, error } = schema.safeParse(given)
  if (error === undefined) return data
  const errors = error.issues.map((issue) => {
    const parameter = String(issue.path[0])
    const value = given[parameter]
    const message = Array.isArray(value)
      ? `${parameter} is given more than once; it must be ${issue.message}`
      : sayWrong(parameter, issue.message, value)
    return entry(GENERAL.bad_parameter, message, { parameter })
  })
  throw new WireError(GENERAL.bad_parameter, errors)
}
