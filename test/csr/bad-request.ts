import type { ErrorCode } from '../../src/index.ts'

/** What is wrong, where, the code, and a word of the message that helps. */
export type BadRequest = readonly [
  what: string,
  request: unknown,
  code: ErrorCode,
  pointer: string,
  says: string,
]
