import { z } from 'zod'
import type { WireCode } from './error-table.ts'

/** A part of an OpenAPI document. */
export type Json = Readonly<Record<string, unknown>>

/** What an operation is in the document. */
export interface OperationDocument {
  /** First word of its `operationId`. */
  readonly name: string
  readonly summary: string
  readonly description?: string
  readonly query?: z.ZodType
  readonly parameters?: readonly Json[]
  /** Names of schemas. */
  readonly body?: { readonly schema: string; readonly example: Json }
  readonly success: {
    readonly status: number
    readonly description: string
    readonly schema: string
    readonly example?: Json
    /** Media types of what may be answered instead of JSON. */
    readonly files?: readonly string[]
    readonly headers?: Json
  }
  /** Beside those that every operation has. */
  readonly errors: readonly WireCode[]
}

const SOURCE = z
  .object({
    pointer: z.string().describe('RFC 6901 pointer into the body').optional(),
    parameter: z.string().describe('Name of a query parameter').optional(),
    header: z.string().describe('Name of a header').optional(),
  })
  .describe('What of the request it is about')

/** An entry of `errors` or `messages`. */
export const MESSAGE: z.ZodType = z.object({
  code: z.int().describe('Stable'),
  message: z.string().describe('For people; may change'),
  source: SOURCE.optional(),
})

/** The envelope of a request that succeeded. */
export function describeAnswer(
  result: z.ZodType,
  more: Readonly<Record<string, z.ZodType>> = {},
): z.ZodType {
  return z.object({
    result,
    success: z.literal(true),
    errors: z.array(MESSAGE).max(0),
    messages: z.array(MESSAGE).max(0),
    ...more,
  })
}

/** The envelope of a request that failed. */
export const FAILURE: z.ZodType = z.object({
  result: z.null(),
  success: z.literal(false),
  errors: z.array(MESSAGE).min(1),
  messages: z.array(MESSAGE).max(0),
})
