import { describe, expect, test } from 'vitest'
import { CsrBuilder, KeystayError, type CsrRequest } from '../../src/index.ts'
import { BAD_EXTENSIONS } from './bad-extensions.ts'
import { BAD_NAMES } from './bad-names.ts'
import type { BadRequest } from './bad-request.ts'
import { BAD_SUBJECTS } from './bad-subjects.ts'

const named = (rest: object): unknown => ({ sans: ['ok.example'], ...rest })
const subject = (fields: unknown): unknown => ({ subject: fields })

const BAD_SHAPES: readonly BadRequest[] = [
  ['nothing', undefined, 'request_invalid', '', 'object'],
  ['an array', [], 'request_invalid', '', 'array'],
  ['neither subject nor names', {}, 'request_empty', '', 'sans'],
  ['only empty ones', { subject: {}, sans: [] }, 'request_empty', '', 'sans'],
  ['an unknown property', named({ 'a/b': 1 }), 'field_unknown', '/a~1b', 'keyUsage'],
  ['names that are no array', { sans: 'a.example' }, 'field_invalid', '/sans', 'array'],
  ['a subject that is text', subject('CN=a'), 'field_invalid', '/subject', 'object'],
  [
    'another choice',
    named({ internationalNames: 'yes' }),
    'field_invalid',
    '/internationalNames',
    'convert',
  ],
]

function refusal(request: unknown): KeystayError {
  try {
    new CsrBuilder(request as CsrRequest)
  } catch (error) {
    if (error instanceof KeystayError) return error
    throw error
  }
  throw new Error('the request was accepted')
}

describe.each([
  ['shape', BAD_SHAPES],
  ['subject', BAD_SUBJECTS],
  ['names', BAD_NAMES],
  ['extensions', BAD_EXTENSIONS],
] as const)('a request is refused for its %s', (_, table) => {
  test.each(table)('%s', (_what, request, code, pointer, says) => {
    const error = refusal(request)
    expect({ code: error.code, pointer: error.pointer }).toEqual({ code, pointer })
    expect(error.message).toContain(says)
  })
})

test('the table shows at least 40 codes', () => {
  const codes = [...BAD_SHAPES, ...BAD_SUBJECTS, ...BAD_NAMES, ...BAD_EXTENSIONS].map(
    ([, , code]) => code,
  )
  expect(new Set(codes).size).toBeGreaterThanOrEqual(40)
})
