import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KeystayError } from '../../src/errors.ts'
import {
  decodeUriText,
  encodeUriBytes,
  encodeUriText,
  parseKeyUri,
  parsePathAttributes,
  redactUri,
  refuseUnknownAttributes,
} from '../../src/key/uri.ts'

/** Control characters are refused, and lone surrogates are no text. */
const text = fc
  .string({ unit: 'grapheme' })

  .filter((value) => value.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(value))
const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/)

describe('a URI', () => {
  test.each([
    ['webcrypto:', { scheme: 'webcrypto', path: '', query: {} }],
    ['PKCS11:token=a', { scheme: 'pkcs11', path: 'token=a', query: {} }],
    ['a:b?c=d&e=', { scheme: 'a', path: 'b', query: { c: 'd', e: '' } }],
    ['a:b?c=d=e', { scheme: 'a', path: 'b', query: { c: 'd=e' } }],
    ['a:b?c=d?e:f', { scheme: 'a', path: 'b', query: { c: 'd?e:f' } }],
    ['a:?c=1+1', { scheme: 'a', path: '', query: { c: '1+1' } }],
    ['a:?c=%C3%a4%20%26', { scheme: 'a', path: '', query: { c: 'ä &' } }],
    ['a:?c=ä%20b', { scheme: 'a', path: '', query: { c: 'ä b' } }],
    ['a:b?', { scheme: 'a', path: 'b', query: {} }],
  ])('%s is taken apart', (uri, expected) => {
    const { scheme, path, query } = parseKeyUri(uri)
    expect({ scheme, path, query: Object.fromEntries(query) }).toEqual(expected)
  })

  test.each([
    ['', 'uri_invalid'],
    ['pkcs11', 'uri_invalid'],
    [':a', 'uri_invalid'],
    ['/a/b', 'uri_invalid'],
    ['1a:b', 'uri_invalid'],
    ['ä:b', 'uri_invalid'],
    ['a:?b', 'uri_invalid'],
    ['a:?=b', 'uri_invalid'],
    ['a:?b=1&', 'uri_invalid'],
    ['a:?b=%', 'uri_invalid'],
    ['a:?b=%4', 'uri_invalid'],
    ['a:?b=%zz', 'uri_invalid'],
    ['a:?b=%ff', 'uri_invalid'],
    ['a:?b=%00', 'uri_invalid'],
    ['a:?b=%0a', 'uri_invalid'],
    ['a:?b=1&b=2', 'uri_attribute_repeated'],
  ])('%j is refused: %s', (uri, code) => {
    expect(() => parseKeyUri(uri)).toThrow(expect.objectContaining({ code }))
  })

  test('comes back as it was made', () => {
    fc.assert(
      fc.property(
        fc.dictionary(name, text, { noNullPrototype: true }),
        fc.dictionary(name, text, { noNullPrototype: true }),
        (attributes, query) => {
          const join = (values: Record<string, string>, separator: string): string =>
            Object.entries(values)
              .map(([key, value]) => `${key}=${encodeUriText(value)}`)
              .join(separator)
          const uri = `pkcs11:${join(attributes, ';')}?${join(query, '&')}`
          const parsed = parseKeyUri(uri)
          expect(Object.fromEntries(parsed.query)).toEqual(query)
          expect(Object.fromEntries(parsePathAttributes(uri, parsed.path))).toEqual(attributes)
        },
      ),
    )
  })

  test('of any text at all gives a result or a KeystayError', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (rest) => {
        try {
          const { path } = parseKeyUri(`a:${rest}`)
          parsePathAttributes('a:', path, ['id'])
        } catch (error) {
          expect(error).toBeInstanceOf(KeystayError)
        }
      }),
    )
  })
})

describe('a path', () => {
  test('holds attributes, some of them bytes', () => {
    const attributes = parsePathAttributes('', 'token=a%20b;id=%01%fFab', ['id'])
    expect(Object.fromEntries(attributes)).toEqual({ token: 'a b', id: '01ff6162' })
  })

  test('gives bytes back as they were written', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const hex = Buffer.from(bytes).toString('hex')
        const path = `id=${encodeUriBytes(hex)}`
        expect(parsePathAttributes('', path, ['id']).get('id')).toBe(hex)
      }),
    )
  })

  test('keeps every text, a byte order mark included', () => {
    expect(decodeUriText('', 'x', encodeUriText('\ufeffa'))).toBe('\ufeffa')
    expect(encodeUriText("a-_.~!'()*/")).toBe('a-_.~%21%27%28%29%2a%2f'.replace('%2f', '%2F'))
  })
})

describe('what is shown of a URI', () => {
  test.each([
    ['pkcs11:token=a?pin-value=1234', 'pkcs11:token=a?pin-value=***'],
    ['pkcs11:token=a?pin-value=1234&max-sessions=4', 'pkcs11:token=a?pin-value=***&max-sessions=4'],
    ['pkcs11:token=a;pin-value=1234;id=%01', 'pkcs11:token=a;pin-value=***;id=%01'],
    ['pkcs11:?PIN-VALUE=1234', 'pkcs11:?PIN-VALUE=***'],
    ['pkcs11:pin=1234', 'pkcs11:pin=***'],
    ['x:?password=a&b=c', 'x:?password=***&b=c'],
    // A PIN that was not percent-encoded.
    ['pkcs11:?pin-value=12&34;56?78', 'pkcs11:?pin-value=***'],
    ['pkcs11:?pin-value=12&34&token=a', 'pkcs11:?pin-value=***&token=a'],
    ['pkcs11:?pin-value=12\n34', 'pkcs11:?pin-value=***'],
    ['webcrypto:/k?secret=abc', 'webcrypto:/k?secret=***'],
    // Where a secret is, is none.
    ['pkcs11:?pin-source=file:/run/pin', 'pkcs11:?pin-source=file:/run/pin'],
    ['pkcs11:?pin-source=824173&x=y', 'pkcs11:?pin-source=***&x=y'],
    ['webcrypto:k?secret-source=env%3AS', 'webcrypto:k?secret-source=env%3AS'],
    ['webcrypto:/k?secret-source=env:S', 'webcrypto:/k?secret-source=env:S'],
    ['pkcs11:token=spinning', 'pkcs11:token=spinning'],
  ])('%j is shown as %j', (uri, shown) => {
    expect(redactUri(uri)).toBe(shown)
  })

  test('has no PIN, whatever is wrong with the URI', () => {
    for (const uri of [
      'a:b?pin-value=hunter2&c',
      'a:b?pin-value=hunter2%',
      'a:b?pin-value=x%hunter2',
      'a:b?pin-value=%ffhunter2',
      'a:b?pin-value=hunter2&pin-value=hunter2',
      'a:b?c=%0a&pin-value=hunter2',
      '1:b?pin-value=hunter2',
    ]) {
      let shown = ''
      try {
        parseKeyUri(uri)
      } catch (error) {
        shown = String(error)
      }
      expect(shown).toMatch(/^KeystayError/)
      expect(shown).not.toContain('hunter2')
    }
  })

  test('has no value of an attribute that is unknown, perhaps a mistyped PIN', () => {
    const uri = 'pkcs11:token=a?pin-valeu=hunter2'
    let message = ''
    try {
      refuseUnknownAttributes(uri, parseKeyUri(uri).query.keys(), ['pin-value'])
    } catch (error) {
      message = String(error)
    }
    expect(message).toBe(
      'KeystayError: pkcs11: URIs have no attribute "pin-valeu"; known are pin-value',
    )
  })
})
