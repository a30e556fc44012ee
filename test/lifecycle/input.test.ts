import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import { checkInput, type InputRules } from '../../src/lifecycle/check-input.ts'
import type { CustomCsrInput } from '../../src/lifecycle/index.ts'
import { INPUT } from '../support/custom-csr.ts'

const RULES: InputRules = { refuseNames: 'none', commonName: 'warn' }

type Wrong = readonly [what: string, input: object, code: ErrorCode, pointer: string]

const without = (field: keyof CustomCsrInput): object =>
  Object.fromEntries(Object.entries(INPUT).filter(([name]) => name !== field))

const sans = (...names: unknown[]): object => ({ ...INPUT, sans: names })

const WRONG: readonly Wrong[] = [
  ...(['country', 'state', 'locality', 'organization', 'commonName', 'sans'] as const).map(
    (field): Wrong => [`no ${field}`, without(field), 'field_missing', `/${field}`],
  ),
  ['an empty state', { ...INPUT, state: '' }, 'field_missing', '/state'],
  ['a blank state', { ...INPUT, state: '  ' }, 'text_empty', '/state'],
  [
    'a country of three letters',
    { ...INPUT, country: 'USA' },
    'subject_country_invalid',
    '/country',
  ],
  [
    'several organizations',
    { ...INPUT, organization: ['a', 'b'] },
    'text_expected',
    '/organization',
  ],
  ['a long common name', { ...INPUT, commonName: 'c'.repeat(65) }, 'text_too_long', '/commonName'],
  [
    'a long unit',
    { ...INPUT, organizationalUnit: 'u'.repeat(65) },
    'text_too_long',
    '/organizationalUnit',
  ],
  ['a long name', { ...INPUT, name: 'n'.repeat(256) }, 'text_too_long', '/name'],
  ['a line feed in a name', { ...INPUT, name: 'a\nb' }, 'text_control_character', '/name'],
  ['an unknown field', { ...INPUT, commonname: 'x' }, 'field_unknown', '/commonname'],
  ['an unknown key type', { ...INPUT, keyType: 'rsa1024' }, 'key_type_unknown', ''],
  ['no list of SANs', { ...INPUT, sans: 'app.example.com' }, 'field_invalid', '/sans'],
  ['an empty list', sans(), 'field_missing', '/sans'],
  ['a SAN that is no text', sans('a.example.com', { ip: '192.0.2.1' }), 'text_expected', '/sans/1'],
  ['a SAN of 256 characters', sans('a'.repeat(256)), 'san_too_long', '/sans/0'],
  ['an IP address', sans('192.0.2.1'), 'dns_name_is_ip', '/sans/0'],
  ['an underscore', sans('a_b.example.com'), 'dns_label_underscore', '/sans/0'],
  ['a hyphen at an edge', sans('-a.example.com'), 'dns_label_hyphen', '/sans/0'],
  ['a wildcard in the middle', sans('a.*.example.com'), 'dns_wildcard_invalid', '/sans/0'],
  ['half a label as wildcard', sans('a*.example.com'), 'dns_wildcard_invalid', '/sans/0'],
  ['a name that is not ASCII', sans('bücher.example.com'), 'dns_name_international', '/sans/0'],
  ['a name twice', sans('a.example.com', 'A.example.com'), 'san_repeated', '/sans/1'],
  ['a public suffix', sans('co.uk'), 'dns_name_public_suffix', '/sans/0'],
  ['a wildcard on one', sans('*.com'), 'dns_name_public_suffix', '/sans/0'],
  ['a single label', sans('intranet'), 'dns_name_public_suffix', '/sans/0'],
  ['null', null as unknown as object, 'request_invalid', ''],
]

describe('what is asked for', () => {
  test.each(WRONG)('%s is refused', (_, input, code, pointer) => {
    let error: unknown
    try {
      checkInput(input as CustomCsrInput, RULES)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toMatchObject({ code })
    if (pointer !== '') expect(error).toMatchObject({ pointer })
    expect((error as Error).message).not.toContain('/subject/')
  })

  test.each(['app.corp.internal', 'foo.nosuch', 'localhost.test', 'github.io', '*.example.org'])(
    '%s is welcome where no policy says otherwise',
    (name) => {
      expect(checkInput({ ...INPUT, sans: [name] }, RULES).sans).toEqual([name])
    },
  )

  test.each([
    ['app.example', 'dns_name_reserved'],
    ['localhost', 'dns_name_reserved'],
    ['a.TEST', 'dns_name_reserved'],
    ['a.invalid', 'dns_name_reserved'],
    ['example.com', 'dns_name_prohibited'],
    ['*.a.Example.ORG', 'dns_name_prohibited'],
    ['a.example.net', 'dns_name_prohibited'],
    ['foo.nosuch', 'dns_name_public_suffix'],
    ['co.uk', 'dns_name_public_suffix'],
  ])('the preset cloudflare refuses %s as %s', (name, code) => {
    const rules: InputRules = { ...RULES, refuseNames: 'cloudflare' }
    const check = (): unknown => checkInput({ ...INPUT, sans: ['www.boston.gov', name] }, rules)
    expect(check).toThrow(expect.objectContaining({ code, pointer: '/sans/1' }))
  })

  test.each(['notexample.com', 'example.com.br', 'test.de', '*.boston.gov'])(
    'the preset cloudflare takes %s',
    (name) => {
      const rules: InputRules = { ...RULES, refuseNames: 'cloudflare' }
      expect(checkInput({ ...INPUT, sans: [name] }, rules).sans).toEqual([name])
    },
  )

  test('an own policy sees the name in lower case, without the wildcard', () => {
    const seen: string[] = []
    const refuseNames = (name: string): string | undefined => {
      seen.push(name)
      return name === 'bank.de' ? 'ask security first' : undefined
    }
    const input = { ...INPUT, sans: ['*.Shop.de', 'BANK.de'] }
    expect(() => checkInput(input, { ...RULES, refuseNames })).toThrow(
      expect.objectContaining({
        code: 'dns_name_refused',
        pointer: '/sans/1',
        message: expect.stringContaining('ask security first') as string,
      }),
    )
    expect(seen).toEqual(['shop.de', 'bank.de'])
  })
})
