import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openBackend } from '../../backends/index.ts'
import { KeystayError, type KeyBackend } from '../../src/index.ts'
import { createSoftHsmToken, type SoftHsmToken } from '../../src/testing/index.ts'
import {
  errorOf,
  fakeBackends,
  keysOf,
  REQUEST,
  run,
  temporaryDirectory,
  type RunResult,
} from '../cli/support.ts'

let token: SoftHsmToken
let backend: KeyBackend
let directory: Awaited<ReturnType<typeof temporaryDirectory>>

const at = (...names: string[]): string => join(directory.path, ...names)
const SECRET = 'file:SECRET'

/** What is in the files that the rows below name, by file name. */
const FILES: Readonly<Record<string, string>> = {
  secret: 'a secret of the test that is long enough',
  'other-secret': 'another secret that is long enough',
  short: 'short',
  empty: '',
  'wrong-pin': '0000',
  'not-a-library.so': 'text',
  'private.pem': '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
  'two.pem':
    '-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n'.repeat(2),
  'certificate.pem': '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n',
  'crl.pem': '-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n',
  'cut.pem': '-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n',
  'base64.pem': '-----BEGIN CERTIFICATE REQUEST-----\nM*A=\n-----END CERTIFICATE REQUEST-----\n',
  'not-der.pem': '-----BEGIN CERTIFICATE REQUEST-----\nMIA=\n-----END CERTIFICATE REQUEST-----\n',
  'prose.txt': 'Dear customer, please find the request attached.',
}

/** A request of record with something in it changed, on standard input. */
const record = (changes: object): [string[], string] => [
  ['--in', '-'],
  JSON.stringify({ ...REQUEST, ...changes }),
]
const options = (...argv: string[]): [string[], string] => [argv, '']
const sans = (...names: unknown[]): [string[], string] => record({ sans: names })

/** Each row: what is wrong, the code of its own, a word of what would be right, the input. */
const REQUESTS: readonly [string, string, string | RegExp, [string[], string]][] = [
  ['JSON that is no object', 'request_invalid', 'object', [['--in', '-'], '[]']],
  ['an empty request', 'request_empty', 'subject', options()],
  ['an unknown field', 'field_unknown', 'known', record({ kty: 'RSA' })],
  ['a field left out', 'field_missing', 'required', record({ country: undefined })],
  ['a field of another shape', 'field_invalid', 'array', record({ sans: 'app.example.com' })],
  ['a number for text', 'text_expected', 'text', record({ state: 7 })],
  ['an empty text', 'text_empty', 'leave it out', record({ locality: '' })],
  ['a control character', 'text_control_character', 'remove it', record({ state: 'M\u0000A' })],
  ['half a character', 'text_not_unicode', 'surrogate', record({ state: 'M\ud800' })],
  ['a name of 65 letters', 'text_too_long', '64', record({ common_name: 'x'.repeat(65) })],
  ['a country in words', 'subject_country_invalid', 'two', record({ country: 'usa' })],
  ['two states', 'subject_value_repeated', 'once', options('--st', 'A', '--st', 'B', '--cn', 'x')],
  ['a serial number with @', 'text_not_printable', 'A-Z', options('--serial-number', 'a@b')],
  ['an OID of letters', 'oid_invalid', 'object identifier', options('--subject-oid', 'abc=x')],
  ['CN by its OID', 'subject_oid_known', 'commonName', options('--subject-oid', '2.5.4.3=x')],
  ['an unknown kind of name', 'san_kind_unknown', 'dns', sans({ host: 'a.example' })],
  ['a name twice', 'san_repeated', 'once', sans('a.example', 'A.example')],
  ['a name of 256 characters', 'san_too_long', '255', sans(`${'a.'.repeat(124)}example.com`)],
  [
    'a name of 254 characters',
    'dns_name_too_long',
    '253',
    options('--san', `${'a.'.repeat(123)}examples`),
  ],
  ['no name', 'dns_name_empty', 'leave it out', sans('')],
  ['an address as a name', 'dns_name_is_ip', '"ip"', sans('192.0.2.1')],
  ['a mailbox as a name', 'dns_name_is_email', '"email"', sans('a@b.example')],
  ['a URL as a name', 'dns_name_is_uri', 'host name alone', sans('https://a.example')],
  ['a dot at the end', 'dns_name_trailing_dot', 'without it', sans('a.example.')],
  [
    'a name with umlauts',
    'dns_name_international',
    'xn--bcher-kva.example',
    sans('bücher.example'),
  ],
  [
    'a name that has no A-label',
    'dns_name_unconvertible',
    'A-label',
    options('--idn', 'convert', '--san', 'ü\u2028.example'),
  ],
  ['a star in the middle', 'dns_wildcard_invalid', '*.example.com', sans('a.*.example')],
  ['two dots', 'dns_label_empty', 'dot too many', sans('a..example')],
  ['a label of 64', 'dns_label_too_long', '63', sans(`${'a'.repeat(64)}.example`)],
  ['an underscore', 'dns_label_underscore', 'underscore', sans('a_b.example')],
  ['a blank', 'dns_label_character', 'letters, digits', sans('a b.example')],
  ['a hyphen at the edge', 'dns_label_hyphen', 'hyphen', sans('-a.example')],
  ['a reserved label', 'dns_label_reserved', 'xn--', sans('ab--c.example')],
  ['a false A-label', 'dns_label_not_idna', 'A-label', sans('xn--a.example')],
  ['an address of five parts', 'ip_invalid', '192.0.2.1', sans({ ip: '1.2.3.4.5' })],
  ['an address with a zone', 'ip_zone', 'leave out', sans({ ip: 'fe80::1%eth0' })],
  ['a network', 'ip_prefix', 'one address', sans({ ip: '10.0.0.0/8' })],
  ['a mailbox without @', 'email_invalid', 'name@example.com', sans({ email: 'a.example' })],
  [
    'a mailbox with umlauts',
    'email_local_part_international',
    'ASCII',
    sans({ email: 'ü@a.example' }),
  ],
  ['a long mailbox', 'email_too_long', '64', sans({ email: `${'a'.repeat(65)}@a.example` })],
  ['a relative URI', 'uri_san_relative', 'https://', sans({ uri: '/path' })],
  [
    'a URI with a blank',
    'uri_san_character',
    'percent-encode',
    sans({ uri: 'https://a.example/a b' }),
  ],
  ['a URI without a host', 'uri_san_host', 'host', sans({ uri: 'https:///path' })],
  ['a UPN without @', 'upn_invalid', 'name@example.com', sans({ upn: 'nobody' })],
  [
    'an unknown key usage',
    'key_usage_unknown',
    'digitalSignature',
    options('--cn', 'x', '--key-usage', 'sign'),
  ],
  [
    'an unknown extended usage',
    'ext_key_usage_unknown',
    'serverAuth',
    options('--cn', 'x', '--ext-key-usage', 'web'),
  ],
  [
    'a usage twice',
    'extension_values_repeated',
    'once',
    options('--cn', 'x', '--ext-key-usage', 'serverAuth,serverAuth'),
  ],
  [
    'a path length of no CA',
    'basic_constraints_invalid',
    'only for a CA',
    options('--cn', 'x', '--path-len', '1'),
  ],
  [
    'an extension that is no DER',
    'extension_value_invalid',
    'DER',
    options('--cn', 'x', '--extension', '1.2.3.4=ff'),
  ],
  [
    'an extension twice',
    'extension_repeated',
    'once',
    options('--cn', 'x', '--extension', '1.2.3.4=0500', '--extension', '1.2.3.4=0500'),
  ],
  [
    'names as a raw extension',
    'extension_reserved',
    'sans',
    options('--cn', 'x', '--extension', '2.5.29.17=0500'),
  ],
  ['a template with an emoji', 'text_not_bmp', 'BMP', options('--cn', 'x', '--template', 'Web😀')],
  ['an unknown key type', 'key_type_unknown', 'p256v1', record({ key_type: 'dsa' })],
  [
    'a foreign algorithm',
    'signature_algorithm_mismatch',
    'ecdsa-sha256',
    options('--cn', 'x', '-t', 'p256v1', '--signature-algorithm', 'ed25519'),
  ],
  ['a label with blanks', 'label_invalid', 'characters', options('--cn', 'x', '-l', 'two words')],
  ['a key that is not there', 'key_not_found', 'key', options('--cn', 'x', '-k', 'ABSENT')],
  [
    'the key of another backend',
    'key_uri_foreign',
    'another token',
    options('--cn', 'x', '-k', 'pkcs11:token=other;id=%01'),
  ],
  ['a file that is not there', 'input_unreadable', 'no such file', options('--in', 'absent.json')],
  ['a file of 2 MiB', 'input_too_large', 'MiB', [['--in', '-'], ' '.repeat(2 << 20)]],
  ['a file in the way', 'output_exists', '--force', options('--cn', 'x', '--out', 'FILE')],
  [
    'a directory that is not there',
    'output_unwritable',
    'no such file',
    options('--cn', 'x', '--out', 'absent/app.csr'),
  ],
  ['an unknown option', 'usage_invalid', '--help', options('--colour')],
]

/** URIs; PIN, SECRET and MODULE stand for the real ones, and other files by their names. */
const URIS: readonly [string, string, string | RegExp, string][] = [
  ['no scheme', 'uri_invalid', 'scheme', '/var/keys'],
  ['an unknown scheme', 'uri_scheme_unknown', 'webcrypto:', 'vault:transit'],
  [
    'a misspelt attribute',
    'uri_attribute_unknown',
    'pin-source',
    'pkcs11:token=t?module-path=MODULE&pinsource=env:PIN',
  ],
  [
    'an attribute twice',
    'uri_attribute_repeated',
    'once',
    'pkcs11:token=t;token=u?module-path=MODULE',
  ],
  [
    'a module that is not there',
    'pkcs11_module_not_found',
    'library',
    'pkcs11:token=TOKEN?module-path=/absent.so&pin-source=file:PIN',
  ],
  [
    'a module that is text',
    'pkcs11_module_invalid',
    'library',
    `pkcs11:token=TOKEN?module-path=not-a-library.so&pin-source=file:PIN`,
  ],
  [
    'a token that is not there',
    'token_not_found',
    'TOKEN',
    'pkcs11:token=absent?module-path=MODULE&pin-source=file:PIN',
  ],
  ['no PIN', 'pin_missing', 'pin-source', 'pkcs11:token=TOKEN?module-path=MODULE'],
  [
    'the PIN in the URI',
    'pin_value_refused',
    'pin-source',
    'pkcs11:token=TOKEN?module-path=MODULE&pin-value=824173',
  ],
  [
    'a source that is no source',
    'secret_source_invalid',
    'file:',
    'pkcs11:token=TOKEN?module-path=MODULE&pin-source=|pass',
  ],
  [
    'a PIN file that is not there',
    'secret_source_unreadable',
    'ENOENT',
    'pkcs11:token=TOKEN?module-path=MODULE&pin-source=file:/absent',
  ],
  [
    'an empty PIN file',
    'secret_source_empty',
    'holds nothing',
    'pkcs11:token=TOKEN?module-path=MODULE&pin-source=file:empty',
  ],
  [
    'another PIN than the one in use',
    'pin_differs',
    'PIN',
    'pkcs11:token=TOKEN?module-path=MODULE&pin-source=file:wrong-pin',
  ],
  ['a keyring without a secret', 'keyring_secret_missing', 'secret-source', 'webcrypto:keyring'],
  [
    'a short secret',
    'keyring_secret_too_short',
    'openssl rand',
    'webcrypto:keyring?secret-source=file:short',
  ],
  [
    'another secret',
    'keyring_secret_wrong',
    'secret',
    'webcrypto:made?secret-source=file:other-secret',
  ],
  [
    'a file for a keyring',
    'keyring_directory_invalid',
    'directory',
    `webcrypto:prose.txt?secret-source=${SECRET}`,
  ],
  [
    'a keyring that others can read',
    'keyring_directory_exposed',
    'chmod',
    `webcrypto:exposed?secret-source=${SECRET}`,
  ],
  [
    'a damaged keyring',
    'keyring_damaged',
    /restore|backup|copy/i,
    `webcrypto:damaged?secret-source=${SECRET}`,
  ],
  ['no region', 'kms_region_missing', 'region', 'awskms:'],
]

const FOUND_BY_INSPECT: readonly [string, string, string | RegExp, string][] = [
  ['a private key', 'csr_private_key', 'exposed', 'private.pem'],
  ['two requests', 'csr_several', 'one', 'two.pem'],
  ['a certificate', 'csr_pem_type', 'CERTIFICATE REQUEST', 'crl.pem'],
  ['a block that does not end', 'pem_invalid', 'END', 'cut.pem'],
  ['base64 that is none', 'csr_base64_invalid', 'base64', 'base64.pem'],
  ['an empty sequence', 'der_invalid', 'DER', 'not-der.pem'],
  ['prose', 'csr_not_found', 'BEGIN CERTIFICATE REQUEST', 'prose.txt'],
  ['nothing', 'csr_empty', 'request', 'empty'],
]

function place(text: string): string {
  const names = Object.keys(FILES).filter((name) => name !== 'secret')
  return text
    .replace('MODULE', token.modulePath)
    .replace(/TOKEN/g, token.label)
    .replace('file:PIN', `file:${token.pinFile}`)
    .replace(SECRET, `file:${at('secret')}`)
    .replace(/^webcrypto:(\w[\w.]*)/, (_, name: string) => `webcrypto:${at(name)}`)
    .replace(new RegExp(`(?<=[:=])(${names.join('|')})(?=$|&)`), (name) => at(name))
}

const NAMELESS_ENVIRONMENT = { AWS_REGION: undefined, AWS_DEFAULT_REGION: undefined }

describe('bad input', () => {
  beforeAll(async () => {
    directory = await temporaryDirectory()
    token = await createSoftHsmToken()
    backend = await openBackend(token.uri)
    for (const [name, content] of Object.entries(FILES)) {
      await writeFile(at(name), content, { mode: 0o600 })
    }
    for (const name of ['made', 'damaged']) {
      const made = await openBackend(`webcrypto:${at(name)}?secret-source=file:${at('secret')}`)
      await made.close()
    }
    const header = at('damaged', 'keyring', 'keyring.json')
    await writeFile(header, (await readFile(header, 'utf8')).slice(0, 40))
    await mkdir(at('exposed'))
    await chmod(at('exposed'), 0o755)
    for (const name of Object.keys(NAMELESS_ENVIRONMENT)) Reflect.deleteProperty(process.env, name)
  })
  afterAll(async () => {
    expect(await keysOf(backend)).toEqual([])
    await backend.close()
    await token.dispose()
    await directory[Symbol.asyncDispose]()
  })

  const refused = (result: RunResult, code: string, says: string | RegExp): void => {
    expect(result.stdout).toBe('')
    expect(result.exitCode).toBe(code === 'usage_invalid' ? 2 : 1)
    const error = errorOf(result)
    expect(error.code).toBe(code)
    expect(error.message).toMatch(says === 'TOKEN' ? token.label : says)
    expect(error.message.split('\n')).toHaveLength(1)
    expect(result.stderr).not.toContain('824173')
  }

  test.each(REQUESTS)('in a request: %s', async (_, code, says, [argv, stdin]) => {
    const { backends } = await fakeBackends({}, backend)
    const placed = argv.map((argument) =>
      argument
        .replace('ABSENT', `pkcs11:token=${token.label};id=%01`)
        .replace('FILE', at('prose.txt'))
        .replace(/^absent/, at('absent')),
    )
    refused(
      await run(['csr', '-b', 'pkcs11:', ...placed, '--json'], { backends, stdin }),
      code,
      says,
    )
    expect(await keysOf(backend)).toEqual([])
  })

  test.each(URIS)('in a URI: %s', async (_, code, says, uri) => {
    refused(await run(['csr', '-b', place(uri), '--cn', 'x', '--json']), code, says)
  })

  test.each(FOUND_BY_INSPECT)('in a file to inspect: %s', async (_, code, says, name) => {
    refused(await run(['inspect', at(name), '--json']), code, says)
  })

  test('in a backend that keeps nothing', async () => {
    refused(
      await run(['csr', '-b', 'webcrypto:', '--cn', 'x', '--json']),
      'backend_not_durable',
      'keyring',
    )
  })

  test('a label that is taken', async () => {
    const key = await backend.generateKey('p256v1', { label: 'taken' })
    const again = backend.generateKey('p256v1', { label: 'taken' })
    await expect(again).rejects.toSatisfy(
      (error) => error instanceof KeystayError && error.code === 'label_taken',
    )
    await backend.destroyKey(key.uri)
  })

  test('has more than 60 codes of its own', () => {
    const codes = [...REQUESTS, ...URIS, ...FOUND_BY_INSPECT].map(([, code]) => code)
    expect(new Set(codes).size).toBe(codes.length)
    expect(codes.length).toBeGreaterThan(60)
  })
})
