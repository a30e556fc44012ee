import { expect, test } from 'vitest'
import { KeystayError } from '../../src/index.ts'
import { parseCustomCsrRequest } from '../../src/csr/request/custom-csr-request.ts'
import { RECORD } from '../support/record.ts'

test('the request of record', () => {
  expect(parseCustomCsrRequest(RECORD)).toEqual({
    request: {
      subject: {
        country: 'US',
        state: 'MA',
        locality: 'Boston',
        organization: 'City of Boston',
        organizationalUnit: 'Championship Parade Detail',
        commonName: 'app.example.com',
      },
      sans: RECORD.sans,
    },
    keyType: 'p256v1',
    name: undefined,
    description: undefined,
  })
})

test('what may be left out or added', () => {
  const required = { ...RECORD, organizational_unit: undefined, key_type: undefined }
  const sans = ['a.example', { ip: '192.0.2.1' }]
  const parsed = parseCustomCsrRequest({ ...required, sans, name: 'n', description: 'd' })
  expect(parsed).toMatchObject({
    keyType: undefined,
    name: 'n',
    description: 'd',
    request: { sans },
  })
  expect(parsed.request.subject).not.toHaveProperty('organizationalUnit')
})

test('the record itself is left as it was', () => {
  const record = structuredClone(RECORD)
  parseCustomCsrRequest(record)
  expect(record).toEqual(RECORD)
})

test.each([
  ['null', null, 'request_invalid', ''],
  ['a list', [RECORD], 'request_invalid', ''],
  ['text', JSON.stringify(RECORD), 'request_invalid', ''],
  ['an unknown field', { ...RECORD, commonName: 'a' }, 'field_unknown', '/commonName'],
  ['no country', { ...RECORD, country: undefined }, 'field_missing', '/country'],
  ['no state', { ...RECORD, state: undefined }, 'field_missing', '/state'],
  ['no locality', { ...RECORD, locality: undefined }, 'field_missing', '/locality'],
  ['no organization', { ...RECORD, organization: undefined }, 'field_missing', '/organization'],
  ['no common name', { ...RECORD, common_name: undefined }, 'field_missing', '/common_name'],
  ['no names', { ...RECORD, sans: undefined }, 'field_missing', '/sans'],
  ['an empty list of names', { ...RECORD, sans: [] }, 'field_missing', '/sans'],
  ['names that are no list', { ...RECORD, sans: 'a.example' }, 'field_invalid', '/sans'],
  ['a name of 256', { ...RECORD, sans: ['a'.repeat(256)] }, 'san_too_long', '/sans/0'],
  ['a name of 254', { ...RECORD, sans: ['a'.repeat(254)] }, 'dns_name_too_long', '/sans/0'],
  [
    'a second name that is bad',
    { ...RECORD, sans: ['a', 'b_'] },
    'dns_label_underscore',
    '/sans/1',
  ],
  [
    'null for a text',
    { ...RECORD, organizational_unit: null },
    'text_expected',
    '/organizational_unit',
  ],
  ['several common names', { ...RECORD, common_name: ['a'] }, 'text_expected', '/common_name'],
  [
    'a long common name',
    { ...RECORD, common_name: 'a'.repeat(65) },
    'text_too_long',
    '/common_name',
  ],
  [
    'a long unit',
    { ...RECORD, organizational_unit: 'a'.repeat(65) },
    'text_too_long',
    '/organizational_unit',
  ],
  ['an empty state', { ...RECORD, state: '' }, 'text_empty', '/state'],
  ['a lower-case country', { ...RECORD, country: 'us' }, 'subject_country_invalid', '/country'],
  ['an unknown key type', { ...RECORD, key_type: 'rsa1024' }, 'key_type_unknown', '/key_type'],
  ['a key type that is no text', { ...RECORD, key_type: 2048 }, 'text_expected', '/key_type'],
  ['a name that is no text', { ...RECORD, name: {} }, 'text_expected', '/name'],
  ['a description that is no text', { ...RECORD, description: 1 }, 'text_expected', '/description'],
])('%s is refused', (_, record, code, pointer) => {
  let error: unknown
  try {
    parseCustomCsrRequest(record)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toBeInstanceOf(KeystayError)
  expect(error).toMatchObject({ code, pointer })
  expect((error as KeystayError).message).not.toMatch(/\/subject/)
})
