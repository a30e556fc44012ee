import { describe, expect, test } from 'vitest'
import { KeystayError, parseCsr, type Oddity, type ParsedCsr } from '../../src/index.ts'
import {
  altNames,
  asking,
  attribute,
  extension,
  handmade,
  nameOf,
  oid,
  sequence,
  set,
  tlv,
} from './handmade.ts'

const codes = ({ oddities }: ParsedCsr): Oddity['code'][] => oddities.map(({ code }) => code)

async function refusal(bytes: Uint8Array): Promise<KeystayError> {
  const error: unknown = await parseCsr(bytes).catch((reason: unknown) => reason)
  if (error instanceof KeystayError) return error
  throw new Error('it was parsed', { cause: error })
}

describe('strings of every age', () => {
  test.each([
    ['T61String as Latin-1', tlv(0x14, 'Z\xfcrich'), 'Zürich', 'T61String'],
    ['BMPString', tlv(0x1e, '\0Z\0\xfc\x6f\x22'), 'Zü漢', 'BMPString'],
    ['UniversalString', tlv(0x1c, '\0\0\0Z\0\x01\xf4\x69'), 'Z👩', 'UniversalString'],
    ['PrintableString', tlv(0x13, 'Zurich'), 'Zurich', 'PrintableString'],
    ['NumericString', tlv(0x12, '12'), '12', 'NumericString'],
    ['VisibleString', tlv(0x1a, 'Z'), 'Z', 'VisibleString'],
    ['IA5String', tlv(0x16, 'a@b'), 'a@b', 'IA5String'],
  ])('%s', async (_, value, text, stringType) => {
    const parsed = await parseCsr(handmade({ subject: nameOf(value) }))
    expect(parsed.subject.rdns).toMatchObject([[{ name: 'commonName', value: text, stringType }]])
    expect(codes(parsed)).toEqual([])
  })

  test.each([
    ['a star in a PrintableString', tlv(0x13, '*.example.com'), '*.example.com'],
    ['Latin-1 in an IA5String', tlv(0x16, 'Z\xfc'), 'Zü'],
  ])('%s is read and told', async (_, value, text) => {
    const parsed = await parseCsr(handmade({ subject: nameOf(value) }))
    expect(parsed.subject.rdns[0]?.[0]?.value).toBe(text)
    expect(codes(parsed)).toEqual(['string_out_of_charset'])
  })

  test.each([
    ['UTF8String that is none', tlv(0x0c, '\xff')],
    ['half a BMPString', tlv(0x1e, '\0Z\0')],
    ['a UniversalString beyond Unicode', tlv(0x1c, '\0\x11\0\0')],
  ])('%s is refused', async (_, value) => {
    expect((await refusal(handmade({ subject: nameOf(value) }))).code).toBe('der_invalid')
  })

  test('a value that is no string is shown as DER', async () => {
    const { subject } = await parseCsr(handmade({ subject: nameOf(tlv(0x02, [7])) }))
    expect(subject.rdns).toMatchObject([[{ value: undefined, der: Uint8Array.of(2, 1, 7) }]])
    expect(subject.text).toBe('2.5.4.3=#020107')
  })
})

describe('a name as RFC 4514 text', () => {
  test.each([
    ['2.5.4.10', 'Sue, Grabbit and Runn', 'O=Sue\\, Grabbit and Runn'],
    ['2.5.4.3', 'Before\rAfter', 'CN=Before\\0dAfter'],
    ['2.5.4.3', ' #a; ', 'CN=\\ #a\\;\\ '],
    ['2.5.4.3', '#a', 'CN=\\#a'],
    ['2.5.4.3', '"\\+<>', 'CN=\\"\\\\\\+\\<\\>'],
    ['2.5.4.3', '\x1b[31m\x9b', 'CN=\\1b[31m\\c2\\9b'],
    ['1.3.6.1.4.1.1466.0', 'Hi', '1.3.6.1.4.1.1466.0=#0c024869'],
  ])('%s %j', async (type, value, text) => {
    const subject = nameOf(tlv(0x0c, Buffer.from(value)), type)
    expect((await parseCsr(handmade({ subject }))).subject.text).toBe(text)
  })

  test('the most significant RDN comes last', async () => {
    const part = (type: string, value: string): Uint8Array => sequence(oid(type), tlv(0x0c, value))
    const subject = sequence(
      set(part('2.5.4.6', 'US')),
      set(part('2.5.4.10', 'O')),
      set(part('2.5.4.11', 'a'), part('2.5.4.3', 'b')),
    )
    expect((await parseCsr(handmade({ subject }))).subject.text).toBe('OU=a+CN=b,O=O,C=US')
  })
})

test('a request of Windows, its attributes shown', async () => {
  const clientInfo = sequence(
    tlv(0x02, [5]),
    tlv(0x0c, 'HOST'),
    tlv(0x0c, 'DOM\\u'),
    tlv(0x0c, 'certreq'),
  )
  const csp = sequence(tlv(0x02, [1]), tlv(0x1e, '\0M\0S'), tlv(0x03, [0]))
  const parsed = await parseCsr(
    handmade({
      attributes: [
        attribute('1.3.6.1.4.1.311.13.2.3', tlv(0x16, '10.0.20348.2')),
        attribute('1.3.6.1.4.1.311.21.20', clientInfo),
        attribute('1.3.6.1.4.1.311.13.2.2', csp),
        asking(
          extension('1.3.6.1.4.1.311.20.2', tlv(0x04, tlv(0x1e, '\0W\0e\0b'))),
          extension('1.3.6.1.4.1.311.21.7', tlv(0x04, sequence(oid('1.2.3'), tlv(0x02, [100])))),
          extension('2.5.29.14', tlv(0x04, tlv(0x04, 'key id'))),
        ),
      ].sort((one, other) => Buffer.compare(one, other)),
    }),
  )
  expect(codes(parsed)).toEqual([])
  expect(parsed.certificateTemplateName).toBe('Web')
  expect(parsed.subjectKeyIdentifier).toEqual(Uint8Array.from(Buffer.from('key id')))
  expect(parsed.extensions.map(({ name }) => name)).toEqual([
    'certificateTemplateName',
    'certificateTemplate',
    'subjectKeyIdentifier',
  ])
  const byName = new Map(parsed.attributes.map((item) => [item.name, item]))
  expect(byName.get('microsoftOsVersion')?.text).toBe('10.0.20348.2')
  expect(byName.get('microsoftEnrollmentCsp')?.values).toEqual([csp])
  expect(byName.get('microsoftRequestClientInfo')?.values).toEqual([clientInfo])
})

test('attributes that nobody knows are not lost', async () => {
  const parsed = await parseCsr(
    handmade({
      attributes: [
        attribute('1.2.3.4', tlv(0x05), tlv(0x0c, 'x')),
        attribute('1.2.840.113549.1.9.2', tlv(0x16, 'router')),
      ],
    }),
  )
  expect(parsed.attributes).toEqual([
    { oid: '1.2.3.4', name: undefined, values: [tlv(0x05), tlv(0x0c, 'x')], text: undefined },
    {
      oid: '1.2.840.113549.1.9.2',
      name: 'unstructuredName',
      values: [tlv(0x16, 'router')],
      text: 'router',
    },
  ])
})

test('names of every kind', async () => {
  const directory = nameOf(tlv(0x0c, 'd'))
  const x400 = tlv(0xa3, sequence())
  const parsed = await parseCsr(
    handmade({
      attributes: [
        asking(
          altNames(
            tlv(0x82, 'a.example'),
            tlv(0x81, 'a@b'),
            tlv(0x86, 'urn:x'),
            tlv(0x87, [192, 0, 2, 1]),
            tlv(0x87, [...new Uint8Array(15), 1]),
            tlv(0xa4, directory),
            tlv(0x88, oid('1.2.3').subarray(2)),
            tlv(0xa0, oid('1.3.6.1.4.1.311.20.2.3'), tlv(0xa0, tlv(0x0c, 'u@d'))),
            tlv(0xa0, oid('1.2.3'), tlv(0xa0, tlv(0x05))),
            x400,
          ),
        ),
      ],
    }),
  )
  expect(parsed.sans).toMatchObject([
    { dns: 'a.example' },
    { email: 'a@b' },
    { uri: 'urn:x' },
    { ip: '192.0.2.1' },
    { ip: '::1' },
    { directoryName: { text: 'CN=d' } },
    { registeredId: '1.2.3' },
    { upn: 'u@d' },
    { otherName: { oid: '1.2.3', value: tlv(0x05) } },
    { unread: x400 },
  ])
  expect(codes(parsed)).toEqual(['name_unreadable'])
})

describe('wrong, but read, and told', () => {
  const value = tlv(0x04, tlv(0x05))
  const cases: readonly (readonly [string, Uint8Array, Oddity['code']])[] = [
    ['no attributes field', handmade({ attributes: null }), 'attributes_missing'],
    ['version 3', handmade({ version: [2] }), 'version_not_1'],
    [
      'an attribute without a value',
      handmade({ attributes: [attribute('1.2.3')] }),
      'attribute_empty',
    ],
    [
      'attributes out of order',
      handmade({ attributes: [attribute('1.2.4', tlv(0x05)), attribute('1.2.3', tlv(0x05))] }),
      'attributes_unsorted',
    ],
    [
      'a default spelled out',
      handmade({ attributes: [asking(extension('1.2.3', tlv(0x01, [0]), value))] }),
      'default_encoded',
    ],
    [
      'two requests for extensions, one in the way of old',
      handmade({
        attributes: [
          attribute('1.3.6.1.4.1.311.2.1.14', sequence(extension('1.2.3', value))),
          asking(extension('1.2.4', value)),
        ].sort((one, other) => one.length - other.length),
      }),
      'extension_request_repeated',
    ],
    [
      'an address with a mask',
      handmade({ attributes: [asking(altNames(tlv(0x87, new Uint8Array(8))))] }),
      'name_unreadable',
    ],
    [
      'a DNS name that is not ASCII',
      handmade({ attributes: [asking(altNames(tlv(0x82, 'b\xfccher')))] }),
      'string_out_of_charset',
    ],
    [
      'MD5',
      handmade({ algorithm: sequence(oid('1.2.840.113549.1.1.4'), tlv(0x05)) }),
      'weak_signature',
    ],
  ]
  test.each(cases)('%s', async (_, bytes, code) => {
    expect(codes(await parseCsr(bytes))).toEqual([code])
  })
})

describe('wrong, and refused', () => {
  const value = tlv(0x04, tlv(0x05))
  const ask = (...extensions: readonly Uint8Array[]): Uint8Array =>
    handmade({ attributes: [asking(...extensions)] })
  test.each([
    [
      'an extension twice',
      ask(extension('1.2.3', value), extension('1.2.3', value)),
      'csr_extension_repeated',
    ],
    [
      'names twice',
      ask(altNames(tlv(0x82, 'a')), altNames(tlv(0x82, 'b'))),
      'csr_extension_repeated',
    ],
    ['a BOOLEAN of 01', ask(extension('1.2.3', tlv(0x01, [1]), value)), 'der_invalid'],
    [
      'an extension of four parts',
      ask(extension('1.2.3', tlv(0x01, [255]), value, value)),
      'der_invalid',
    ],
    ['an extension without a value', ask(extension('1.2.3')), 'der_invalid'],
    ['names that are no list', ask(extension('2.5.29.17', value)), 'der_invalid'],
    [
      'names with a tail',
      ask(extension('2.5.29.17', tlv(0x04, sequence(tlv(0x82, 'a')), tlv(0x05)))),
      'der_invalid',
    ],
    ['a keyUsage that is none', ask(extension('2.5.29.15', value)), 'der_invalid'],
    [
      'a depth of 2^40',
      ask(extension('2.5.29.19', tlv(0x04, sequence(tlv(0x02, [1, 0, 0, 0, 0, 0]))))),
      'der_invalid',
    ],
    ['an empty RDN', handmade({ subject: sequence(set()) }), 'der_invalid'],
    ['a version below 1', handmade({ version: [0xff] }), 'der_invalid'],
    [
      'an attribute of three parts',
      handmade({ attributes: [sequence(oid('1.2.3'), set(), set())] }),
      'der_invalid',
    ],
    [
      'an OID longer than any',
      handmade({
        subject: sequence(set(sequence(tlv(0x06, new Uint8Array(257).fill(1)), tlv(0x0c)))),
      }),
      'der_invalid',
    ],
    [
      'an algorithm of three parts',
      handmade({ algorithm: sequence(oid('1.2.3'), tlv(0x05), tlv(0x05)) }),
      'der_invalid',
    ],
    [
      'an RSA key without an exponent',
      handmade({
        spki: sequence(
          sequence(oid('1.2.840.113549.1.1.1'), tlv(0x05)),
          tlv(0x03, [0], sequence(tlv(0x02, [5]))),
        ),
      }),
      'der_invalid',
    ],
    ['an empty key', handmade({ spki: sequence() }), 'der_invalid'],
    [
      'a key with unused bits',
      handmade({ spki: sequence(sequence(oid('1.2.3')), tlv(0x03, [1, 0])) }),
      'der_invalid',
    ],
  ])('%s', async (_, bytes, code) => {
    expect((await refusal(bytes)).code).toBe(code)
  })
})

test.each([
  ['2.16.840.1.101.3.4.3.18', 'ML-DSA-65'],
  ['1.2.840.10040.4.1', 'dsa'],
  ['1.2.3.4', '1.2.3.4'],
])('a key of algorithm %s is shown as %s', async (algorithm, algorithmName) => {
  const spki = sequence(sequence(oid(algorithm)), tlv(0x03, [0], new Uint8Array(40)))
  const { publicKey, signature } = await parseCsr(
    handmade({ spki, algorithm: sequence(oid(algorithm)) }),
  )
  expect(publicKey).toMatchObject({ algorithm, algorithmName, family: 'unknown' })
  expect(Buffer.from(publicKey.spki).equals(spki)).toBe(true)
  expect(signature).toMatchObject({ oid: algorithm, status: 'unsupported' })
})
