import { expect, test } from 'vitest'
import { openWebCryptoBackend } from '../../../backends/webcrypto/index.ts'
import { parseWebCryptoKeyUri, parseWebCryptoUri } from '../../../backends/webcrypto/uri.ts'

test.each([
  ['webcrypto:', undefined, undefined],
  ['webcrypto:/var/lib/keys?secret-source=env:S', '/var/lib/keys', 'env:S'],
  ['webcrypto:./keys', './keys', undefined],
  ['webcrypto:/a%20b%3Fc', '/a b?c', undefined],
  ['webcrypto:/a+b', '/a+b', undefined],
])('%s names a backend', (uri, directory, secretSource) => {
  expect(parseWebCryptoUri(uri)).toEqual({ directory, secretSource })
})

test.each([
  ['pkcs11:token=a', 'key_uri_foreign'],
  ['webcrypto:?secret-source=env:S', 'uri_invalid'],
  ['webcrypto:~/keys', 'uri_invalid'],
  ['webcrypto:keyring=memory;id=1', 'uri_invalid'],
  ['webcrypto:/a%00b', 'uri_invalid'],
  ['webcrypto:/k?secret=hunter2', 'uri_attribute_unknown'],
  ['webcrypto:/k?pin-source=env:S', 'uri_attribute_unknown'],
])('%s does not: %s', async (uri, code) => {
  const opening = openWebCryptoBackend(uri)
  await expect(opening).rejects.toMatchObject({ code })
  await expect(opening).rejects.not.toThrow('hunter2')
})

const ID = '0123456789abcdef0123456789abcdef-0123456789abcdef0123456789abcdef'

test('a key is named by its keyring and its id', () => {
  expect(parseWebCryptoKeyUri(`webcrypto:keyring=k;id=${ID}`, 'k')).toBe(ID)
  expect(parseWebCryptoKeyUri(`webcrypto:id=${ID};keyring=k`, 'k')).toBe(ID)
})

test.each([
  ['webcrypto:', 'uri_invalid'],
  ['webcrypto:/directory', 'uri_invalid'],
  ['webcrypto:keyring=k', 'uri_invalid'],
  ['webcrypto:keyring=k;id=../../etc/passwd', 'uri_invalid'],
  [`webcrypto:keyring=k;id=${ID.toUpperCase()}`, 'uri_invalid'],
  [`webcrypto:keyring=other;id=${ID}`, 'key_uri_foreign'],
  [`webcrypto:id=${ID}`, 'key_uri_foreign'],
  [`pkcs11:keyring=k;id=${ID}`, 'key_uri_foreign'],
  [`webcrypto:keyring=k;id=${ID};id=${ID}`, 'uri_attribute_repeated'],
  [`webcrypto:keyring=k;id=${ID}?secret-source=env:S`, 'uri_attribute_unknown'],
])('%s does not name a key here: %s', (uri, code) => {
  expect(() => parseWebCryptoKeyUri(uri, 'k')).toThrow(expect.objectContaining({ code }))
})
