import { mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { parseCsr } from '../../src/csr/parse-csr.ts'
import {
  REQUEST,
  errorOf,
  fakeBackends,
  keysOf,
  pipe,
  run,
  temporaryDirectory,
  type RunResult,
} from './support.ts'

const CSR = ['csr', '--backend', 'webcrypto:']
const RECORD = JSON.stringify(REQUEST)

interface CsrAnswer {
  readonly key: string
  readonly label: string
  readonly key_type: string
  readonly signature_algorithm: string
  readonly csr: string
  readonly converted_names: readonly object[]
  readonly attestation: { readonly level: string }
}

function answerOf({ exitCode, stdout, stderr }: RunResult): CsrAnswer {
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  return JSON.parse(stdout) as CsrAnswer
}

describe('the request of record', () => {
  test('from standard input: the PEM on stdout, the key on stderr', async () => {
    const { backends, backend } = await fakeBackends()
    const result = await run([...CSR, '--in', '-'], { backends, stdin: RECORD })
    const [uri = ''] = await keysOf(backend)
    expect(result.exitCode).toBe(0)
    expect(result.stderr).toMatch(/^warning: the private key is in the memory of this process.*\n/)
    expect(result.stderr.split('\n').slice(1)).toEqual([`key: ${uri}`, ''])
    expect(await pipe('openssl', ['req', '-verify', '-noout'], result.stdout)).toMatch(/verify OK/)
    const csr = await parseCsr(result.stdout)
    expect(csr.subject.rdns.flat().map(({ name, value }) => [name, value])).toEqual([
      ['country', 'US'],
      ['state', 'MA'],
      ['locality', 'Boston'],
      ['organization', 'City of Boston'],
      ['organizationalUnit', 'Championship Parade Detail'],
      ['commonName', 'app.example.com'],
    ])
    expect(csr.sans).toEqual(REQUEST.sans.map((dns) => ({ dns })))
    expect(csr.publicKey.keyType).toBe('p256v1')
    const key = await backend.getKey(uri)
    expect(key.label).toMatch(/^keystay:[0-9a-f-]{36}$/)
  })

  test('as JSON, from a file with a byte order mark', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'request.json')
    await writeFile(path, `\ufeff${RECORD}`)
    const { backends, backend } = await fakeBackends()
    const answer = answerOf(await run([...CSR, '--in', path, '--json'], { backends }))
    expect(Object.keys(answer)).toEqual([
      'key',
      'label',
      'key_type',
      'signature_algorithm',
      'csr',
      'converted_names',
      'attestation',
    ])
    expect([answer.key]).toEqual(await keysOf(backend))
    expect(answer).toMatchObject({ key_type: 'p256v1', signature_algorithm: 'ecdsa-sha256' })
    expect(answer.attestation).toMatchObject({ level: 'software', backend: 'webcrypto' })
  })

  test('takes the backend from KEYSTAY_BACKEND', async () => {
    const { backends } = await fakeBackends()
    const env = { KEYSTAY_BACKEND: 'webcrypto:' }
    const result = await run(['csr', '--in', '-'], { backends, stdin: RECORD, env })
    expect(result.exitCode).toBe(0)
  })

  test('is overridden by options, which also fill what it leaves out', async () => {
    const incomplete = { ...REQUEST, key_type: 'rsa1', country: 'usa', organization: undefined }
    const { backends } = await fakeBackends()
    const answer = answerOf(
      await run(
        [...CSR, '--json', '--in', '-', '--o', 'Boston', '--country', 'CA', '-t', 'p384'].concat(
          ...['one', 'two'].map((ou) => ['--ou', ou]),
          ...['www.example.com', '192.0.2.1'].map((san) => ['-s', san]),
        ),
        { backends, stdin: JSON.stringify(incomplete) },
      ),
    )
    const csr = await parseCsr(answer.csr)
    expect(csr.subject.text).toBe('CN=app.example.com,OU=two,OU=one,O=Boston,L=Boston,ST=MA,C=CA')
    expect(csr.sans).toEqual([{ dns: 'www.example.com' }, { ip: '192.0.2.1' }])
    expect(answer.key_type).toBe('p384')
  })
})

describe('options', () => {
  test('say everything that a request can ask for', async () => {
    await using directory = await temporaryDirectory()
    const password = join(directory.path, 'challenge')
    await writeFile(password, 'opensesame\n')
    const { backends } = await fakeBackends()
    const argv = [
      ...CSR,
      '--json',
      ...['--cn', 'app.example.com', '--serial-number', 'HRB 1', '--subject-oid', '1.2.3.4=a=b'],
      ...['--jurisdiction-country', 'DE', '--business-category', 'Private Organization'],
      ...['--san', 'app.example.com', '--san', 'dns:*.example.com', '--san', '2001:db8::1'],
      ...['--san', 'ip:192.0.2.7', '--san', 'email:a@example.com', '--san', 'upn:b@example.com'],
      ...['--san', 'uri:https://example.com/x'],
      ...['--key-type', 'rsa2048', '--signature-algorithm', 'rsa-pss-sha384', '--label', 'my/key'],
      ...['--key-usage', 'digitalSignature,keyCertSign', '--key-usage', 'cRLSign'],
      ...['--ext-key-usage', 'serverAuth,1.3.6.1.5.5.7.3.2', '--ca', '--path-len', '2'],
      ...['--must-staple', '--template', 'WebServer', '--challenge-password-file', password],
      ...['--extension', 'critical:1.2.3.4.5=0500', '--extension', '1.2.3.4.6=0403616263'],
    ]
    const answer = answerOf(await run(argv, { backends }))
    expect(answer).toMatchObject({ label: 'my/key', signature_algorithm: 'rsa-pss-sha384' })
    const csr = await parseCsr(answer.csr)
    expect(csr.signature).toMatchObject({ algorithm: 'rsa-pss-sha384', status: 'valid' })
    expect(csr.subject.rdns.flat().map(({ name, oid, value }) => [name ?? oid, value])).toEqual([
      ['jurisdictionCountry', 'DE'],
      ['businessCategory', 'Private Organization'],
      ['serialNumber', 'HRB 1'],
      ['commonName', 'app.example.com'],
      ['1.2.3.4', 'a=b'],
    ])
    expect(csr.sans).toEqual([
      { dns: 'app.example.com' },
      { dns: '*.example.com' },
      { ip: '2001:db8::1' },
      { ip: '192.0.2.7' },
      { email: 'a@example.com' },
      { upn: 'b@example.com' },
      { uri: 'https://example.com/x' },
    ])
    expect(csr.keyUsage).toEqual(['digitalSignature', 'keyCertSign', 'cRLSign'])
    expect(csr.extKeyUsage).toEqual(['serverAuth', 'clientAuth'])
    expect(csr.basicConstraints).toEqual({ ca: true, pathLen: 2 })
    expect(csr.tlsFeature).toEqual([5])
    expect(csr.certificateTemplateName).toBe('WebServer')
    expect(csr.attributes).toMatchObject([{ name: 'challengePassword', text: 'opensesame' }])
    const other = csr.extensions.filter(({ oid }) => oid.startsWith('1.2.3.4'))
    expect(other.map(({ oid, critical, value }) => [oid, critical, [...value]])).toEqual([
      ['1.2.3.4.5', true, [5, 0]],
      ['1.2.3.4.6', false, [4, 3, 97, 98, 99]],
    ])
  })

  test('default to rsa2048', async () => {
    const { backends } = await fakeBackends()
    const answer = answerOf(await run([...CSR, '--cn', 'x', '--json'], { backends }))
    expect(answer).toMatchObject({ key_type: 'rsa2048', signature_algorithm: 'rsa-pkcs1-sha256' })
  })

  test('--idn convert serves the names of --in too', async () => {
    const { backends } = await fakeBackends()
    const names = { common_name: 'bücher.example', sans: ['bücher.example'] }
    const stdin = JSON.stringify({ ...REQUEST, ...names })
    const argv = [...CSR, '--in', '-', '--json']
    expect(errorOf(await run(argv, { backends, stdin })).code).toBe('dns_name_international')
    const { csr } = answerOf(await run([...argv, '--idn', 'convert'], { backends, stdin }))
    const { sans, subject } = await parseCsr(csr)
    expect(sans).toEqual([{ dns: 'xn--bcher-kva.example' }])
    expect(subject.text).toContain('CN=xn--bcher-kva.example')
  })

  test('--idn convert reports what was converted', async () => {
    const { backends } = await fakeBackends()
    const argv = [...CSR, '-t', 'p256v1', '--san', 'bücher.example', '--idn', 'convert']
    expect((await run(argv, { backends })).stderr).toContain(
      'bücher.example is written as xn--bcher-kva.example\n',
    )
    expect(answerOf(await run([...argv, '--json'], { backends })).converted_names).toEqual([
      { unicode: 'bücher.example', ascii: 'xn--bcher-kva.example', pointer: '/sans/0' },
    ])
    const refused = await run(argv.slice(0, -2), { backends })
    expect(refused.exitCode).toBe(1)
    expect(refused.stderr).toMatch(/xn--bcher-kva\.example.*\[dns_name_international\]\n$/)
  })

  test('--key uses a key that is there, of any type unless one is stated', async () => {
    const { backends, backend } = await fakeBackends()
    const key = await backend.generateKey('ed25519', { label: 'keystay:there' })
    const argv = [...CSR, '--json', '--cn', 'x', '--key', key.uri]
    const answer = answerOf(await run(argv, { backends }))
    expect(answer).toMatchObject({ key: key.uri, label: 'keystay:there', key_type: 'ed25519' })
    const conflict = await run([...argv, '--key-type', 'p256v1'], { backends })
    expect(errorOf(conflict).code).toBe('key_type_conflict')
    const inFile = await run([...argv, '--in', '-'], { backends, stdin: RECORD })
    expect(errorOf(inFile).code).toBe('key_type_conflict')
    expect(await keysOf(backend)).toEqual([key.uri])
  })
})

describe('nothing is made', () => {
  test.each([
    ['', 'request_invalid'],
    ['{', 'request_invalid'],
    ['null', 'request_invalid'],
    ['[]', 'request_invalid'],
    ['"x"', 'request_invalid'],
    ['{}', 'field_missing'],
    [JSON.stringify({ ...REQUEST, sans: 'app.example.com' }), 'field_invalid'],
    [JSON.stringify({ ...REQUEST, sans: [] }), 'field_missing'],
    [JSON.stringify({ ...REQUEST, sans: [7] }), 'san_kind_unknown'],
    [JSON.stringify({ ...REQUEST, country: 7 }), 'text_expected'],
    [JSON.stringify({ ...REQUEST, country: 'USA' }), 'subject_country_invalid'],
    [JSON.stringify({ ...REQUEST, kty: 'RSA' }), 'field_unknown'],
    [JSON.stringify({ ...REQUEST, key_type: 'dsa' }), 'key_type_unknown'],
    [Buffer.from([0x7b, 0xff, 0x7d]), 'input_unreadable'],
    [' '.repeat(1_048_577), 'input_too_large'],
  ])('by a file that holds %j', async (stdin, code) => {
    const { backends, backend } = await fakeBackends()
    const result = await run([...CSR, '--in', '-', '--json'], { backends, stdin })
    expect(result).toMatchObject({ exitCode: 1, stdout: '' })
    expect(errorOf(result).code).toBe(code)
    expect(await keysOf(backend)).toEqual([])
  })

  test('by a file that is not there, or is a directory; nor is its content quoted', async () => {
    await using directory = await temporaryDirectory()
    const missing = await run([...CSR, '--in', join(directory.path, 'no.json')])
    expect(missing.stderr).toMatch(/no such file or directory \[input_unreadable\]\n$/)
    const folder = await run([...CSR, '--in', directory.path])
    expect(folder.stderr).toMatch(/it is a directory \[input_unreadable\]\n$/)
    for (const content of ['824173', 'pin 824173', '"824173']) {
      const wrong = await run([...CSR, '--in', '-', '--debug'], { stdin: content })
      expect(wrong.stderr).toMatch(/^keystay: standard input is not .*\[request_invalid\]\n/)
      expect(wrong.stderr).not.toContain('824173')
    }
  })

  test.each([
    [['--cn', ''], 'text_empty', '/subject/commonName'],
    [['--country', 'usa'], 'subject_country_invalid', '/subject/country'],
    [
      ['--cn', 'x', '--cn', 'y', '--state', 'A', '--state', 'B'],
      'subject_value_repeated',
      '/subject/state',
    ],
    [['--san', 'ok.example', '--san', 'a_b.example'], 'dns_label_underscore', '/sans/1'],
    [['--san', 'ip:300.1.1.1'], 'ip_invalid', '/sans/0/ip'],
    [['--cn', 'x', '--key-usage', 'sign'], 'key_usage_unknown', '/keyUsage/0'],
    [['--cn', 'x', '--path-len', '1'], 'basic_constraints_invalid', '/basicConstraints/pathLen'],
    [['--cn', 'x', '--label', 'spaced label'], 'label_invalid', '/label'],
    [
      ['--cn', 'x', '-t', 'p256v1', '--signature-algorithm', 'ed25519'],
      'signature_algorithm_mismatch',
      '/signature_algorithm',
    ],
    [[], 'request_empty', ''],
  ])('by %j: %s', async (options, code, pointer) => {
    const { backends, backend } = await fakeBackends()
    const result = await run([...CSR, ...options, '--json'], { backends })
    expect(result.exitCode).toBe(1)
    expect(errorOf(result)).toMatchObject({ code, pointer })
    expect(await keysOf(backend)).toEqual([])
  })

  test('in a backend whose keys die with the process; the way out is told', async () => {
    const result = await run([...CSR, '--cn', 'x'])
    expect(result).toMatchObject({ exitCode: 1, stdout: '' })
    expect(result.stderr).toMatch(
      /^keystay: .*\(umask 077; .* > keystay\.secret\) .*"webcrypto:\$PWD\/keyring\?secret-source=file:\$PWD\/keystay\.secret" \[backend_not_durable\]\n$/,
    )
  })

  test('with an algorithm that the backend has not', async () => {
    const { backends, backend } = await fakeBackends({
      capabilities: { signatureAlgorithms: { p384: ['ecdsa-sha256'] } },
    })
    const argv = [...CSR, '--cn', 'x', '-t', 'p384', '--json']
    expect(errorOf(await run(argv, { backends })).code).toBe('signature_algorithm_unsupported')
    expect(await keysOf(backend)).toEqual([])
  })

  test('for a label that is taken, also where the device would not mind', async () => {
    const { backend } = await fakeBackends()
    await backend.generateKey('p256v1', { label: 'mine' })
    const { backends } = await fakeBackends(
      {
        capabilities: { uniqueLabels: false },
        generateKey: () => Promise.reject(new Error('a second one')),
      },
      backend,
    )
    const result = await run([...CSR, '--cn', 'x', '--label', 'mine', '--json'], { backends })
    expect(errorOf(result).code).toBe('label_taken')
    expect(await keysOf(backend)).toHaveLength(1)
  })
})

describe('--out', () => {
  const argv = [...CSR, '--cn', 'x', '-t', 'p256v1', '--out']

  test('writes the PEM, and nothing else remains beside it', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'app.csr')
    const { backends } = await fakeBackends()
    const result = await run([...argv, path], { backends })
    expect(result).toMatchObject({ exitCode: 0, stdout: '' })
    expect(result.stderr).toMatch(/^key: webcrypto:/m)
    expect((await parseCsr(await readFile(path))).signature.status).toBe('valid')
    expect(await readdir(directory.path)).toEqual(['app.csr'])

    const json = answerOf(await run([...argv, path, '--force', '--json'], { backends }))
    expect(await readFile(path, 'utf8')).toBe(json.csr)
  })

  test('replaces a file with --force only, and never what is not a file', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'app.csr')
    await writeFile(path, 'precious')
    const { backends, backend } = await fakeBackends()
    const refused = await run([...argv, path], { backends })
    expect(refused.exitCode).toBe(1)
    expect(refused.stderr).toMatch(/exists already; .*--force.* \[output_exists\]\n$/)
    expect(await readFile(path, 'utf8')).toBe('precious')

    const link = join(directory.path, 'link')
    await symlink('/dev/null', link)
    for (const target of [directory.path, link, '/dev/null', join(directory.path, 'no', 'a.csr')]) {
      const result = await run([...argv, target, '--force'], { backends })
      expect(result.exitCode).toBe(1)
      expect(result.stderr).toMatch(/\[output_unwritable\]\n$/)
    }
    expect(await keysOf(backend)).toEqual([])
    expect((await stat('/dev/null')).isCharacterDevice()).toBe(true)
    expect(await readdir(directory.path)).toEqual(['app.csr', 'link'])
  })

  test.each([[[]], [['--json']]])(
    'that fails in the end prints the request instead, and names the key (%j)',
    async (flags) => {
      await using directory = await temporaryDirectory()
      const path = join(directory.path, 'app.csr')
      const real = await fakeBackends()
      const { backends } = await fakeBackends(
        {
          generateKey: async (keyType, options) => {
            await mkdir(path)
            return real.backend.generateKey(keyType, options)
          },
        },
        real.backend,
      )
      const result = await run([...argv, path, ...flags], { backends })
      expect(result.exitCode).toBe(1)
      const pem = flags.length === 0 ? result.stdout : (JSON.parse(result.stdout) as CsrAnswer).csr
      expect((await parseCsr(pem)).signature.status).toBe('valid')
      const [uri = ''] = await keysOf(real.backend)
      expect(result.stderr).toContain(`the key is there: ${uri}; to use it, add --key`)
      expect(result.stderr).toContain('output_exists')
      expect(await readdir(directory.path)).toEqual(['app.csr'])
    },
  )

  test('not given, and nobody reads: the key is named', async () => {
    const { backends, backend } = await fakeBackends()
    const stdout = new Writable({
      write: (_chunk, _encoding, done) => {
        done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
      },
    })
    stdout.on('error', () => undefined)
    const result = await run([...CSR, '--cn', 'x', '--json'], { backends, stdout })
    expect(result.exitCode).toBe(1)
    expect(errorOf(result).code).toBe('output_unwritable')
    expect(errorOf(result).message).toContain((await keysOf(backend))[0])
  })
})

test('progress is for terminals', async () => {
  const { backends } = await fakeBackends()
  const argv = [...CSR, '--cn', 'x', '-t', 'p256v1']
  const onTerminal = await run(argv, { backends, tty: ['stderr'] })
  expect(onTerminal.stderr).toMatch(/^creating a key of type p256v1 …\r\u001b\[K\S/u)
  expect((await run(argv, { backends })).stderr).not.toContain('creating')
})
