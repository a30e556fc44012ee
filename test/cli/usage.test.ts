import { Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { KeystayError } from '../../src/errors.ts'
import { errorOf, fakeBackends, run } from './support.ts'

const COMMANDS = [
  ...['csr', 'inspect', 'keys', 'keys list', 'keys show', 'keys destroy', 'doctor', 'serve'],
  ...['credential', 'credential create', 'credential list', 'credential revoke'],
]

describe('help', () => {
  test('teaches: what there is, how to name a backend, where to go on', async () => {
    const { exitCode, stdout, stderr } = await run(['--help'])
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    const commands = ['csr', 'inspect', 'keys', 'doctor', 'serve', 'credential']
    for (const word of [...commands, 'KEYSTAY_BACKEND', 'Exit codes']) {
      expect(stdout).toContain(word)
    }
    expect(stdout).toMatch(/webcrypto:.*pkcs11:.*awskms:/s)
    expect(stdout).toMatch(/^ {2}\$ keystay csr /m)
  })

  test.each(COMMANDS)('of %s stands for itself', async (name) => {
    const { exitCode, stdout, stderr } = await run([...name.split(' '), '--help'])
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout).toMatch(new RegExp(`^Usage: keystay ${name} `))
    expect(stdout).toContain('--json')
    expect(await run(['help', ...name.split(' ')])).toMatchObject({ exitCode: 0 })
  })

  test('fits a terminal of 80 columns', async () => {
    const { stdout } = await run(['csr', '--help'])
    const options = stdout.slice(0, stdout.indexOf('Backends:')).split('\n')
    expect(options.filter((line) => line.length > 100)).toEqual([])
  })

  test('is printed, with exit code 2, when nothing is asked', async () => {
    const { exitCode, stdout, stderr } = await run([])
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toMatch(/^Usage: keystay/)
    expect(stderr).not.toContain('[usage_invalid]')
  })

  test('--version', async () => {
    expect(await run(['--version'])).toEqual({ exitCode: 0, stdout: '1.2.3\n', stderr: '' })
  })
})

describe('a wrong command line', () => {
  test.each([
    [['--nonsense'], /unknown option '--nonsense'/],
    [['csr', '--nonsense'], /unknown option '--nonsense'/],
    [['csr', '--sans', 'x'], /Did you mean --san/],
    [['cs'], /unknown command 'cs'.*Did you mean csr/],
    [['keys'], /^Usage: keystay keys/],
    [['inspect'], /missing required argument 'file'/],
    [['inspect', 'a', 'b'], /too many arguments/],
    [['csr', '--backend'], /argument missing/],
    [['csr', '--cn', 'x'], /no backend named; add --backend URI or set KEYSTAY_BACKEND/],
    [['keys', 'list'], /no backend named/],
    [['doctor'], /no backend named/],
    [['csr', '--key-type', 'rsa1024'], /Allowed choices are rsa2048/],
    [['csr', '--signature-algorithm', 'md5'], /Allowed choices are rsa-pkcs1-sha256/],
    [['csr', '--key', 'x:y', '--label', 'z'], /--key <uri>' cannot be used with.*--label/],
    [['csr', '--san', 'srv:x', '-b', 'webcrypto:'], /known are dns:, ip:, email:, uri:, upn:/],
    [['csr', '--san', 'https://x', '-b', 'webcrypto:'], /for a URI write "uri:https:\/\/x"/],
    [['csr', '--subject-oid', '1.2.3', '-b', 'webcrypto:'], /must be OID=VALUE/],
    [['csr', '--extension', '1.2.3=0', '-b', 'webcrypto:'], /DER as hexadecimal digits/],
    [['csr', '--ca', '--path-len', '-1', '-b', 'webcrypto:'], /must be a number from 0/],
  ])('%j says what would be right, in one line', async (argv, message) => {
    const { exitCode, stdout, stderr } = await run(argv)
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toMatch(message)
    if (!stderr.startsWith('Usage')) expect(stderr).toMatch(/^keystay: .+ \[usage_invalid\]\n$/)
  })

  test('is JSON with --json, wherever that stands', async () => {
    const result = await run(['csr', '--nonsense', '--json'])
    expect(result).toMatchObject({ exitCode: 2, stdout: '' })
    expect(errorOf(result)).toMatchObject({ code: 'usage_invalid' })
  })

  test('does not show what may be a PIN', async () => {
    for (const argv of [
      ['csr', '--pin=824173'],
      ['pkcs11:token=t?pin-value=824173'],
      ['csr', '--key-type', 'pkcs11:token=t?pin-value=824173'],
      ['csr', '--san', 'pkcs11:token=t?pin-value=824173', '-b', 'webcrypto:'],
      ['doctor', '-b', 'nonsense:token=t?pin-value=824173'],
      ['doctor', '-b', 'pkcs11:token=t?pin-value=824173&pin-value=824173'],
    ]) {
      for (const flags of [[], ['--debug'], ['--json'], ['--json', '--debug']]) {
        const { exitCode, stdout, stderr } = await run([...argv, ...flags])
        expect(exitCode).toBeGreaterThan(0)
        expect(stdout + stderr).not.toContain('824173')
      }
    }
  })
})

describe('a failure', () => {
  const failing = (error: Error): ReturnType<typeof fakeBackends> =>
    fakeBackends({
      getKey: () => Promise.reject(error),
    })
  const argv = ['keys', 'show', 'x:y', '--backend', 'webcrypto:']
  const cause = new Error('driver: pkcs11:token=t?pin-value=824173 refused\nsecond line')

  test('is one line without control characters, and no stack', async () => {
    const error = new KeystayError('key_not_found', 'no key "\u001b[31m"\nanywhere', { cause })
    const { backends } = await failing(error)
    const { exitCode, stdout, stderr } = await run(argv, { backends })
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
    expect(stderr).toBe('keystay: no key "\\u{1b}[31m"\\u{a}anywhere [key_not_found]\n')
  })

  test('tells stack and causes with --debug, still without secrets', async () => {
    const { backends } = await failing(new KeystayError('key_not_found', 'no key', { cause }))
    const { stderr } = await run([...argv, '--debug'], { backends })
    expect(stderr).toMatch(/^keystay: no key \[key_not_found\]\nKeystayError: no key\n +at /)
    expect(stderr).toMatch(/^caused by Error: driver: pkcs11:token=t\?pin-value=\*\*\*/m)
    expect(stderr).toMatch(/second line/)
  })

  test('is an object with --json: code, message, pointer, and causes for --debug', async () => {
    const { backends } = await failing(
      new KeystayError('key_not_found', 'no key', { pointer: '/key', cause }),
    )
    const result = await run([...argv, '--json'], { backends })
    expect(JSON.parse(result.stderr)).toEqual({
      error: { code: 'key_not_found', message: 'no key', pointer: '/key' },
    })
    const debugged = await run([...argv, '--json', '--debug'], { backends })
    expect(JSON.parse(debugged.stderr)).toMatchObject({
      error: { causes: expect.arrayContaining(['KeystayError: no key']) as string[] },
    })
  })

  test('that nobody expected says so, in one line', async () => {
    const { backends } = await failing(new TypeError('x is not a function'))
    const { exitCode, stderr } = await run(argv, { backends })
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(/^keystay: x is not a function; .*--debug.* \[unexpected\]\n$/)
  })
})

describe('output', () => {
  test('has colours on a terminal only', async () => {
    const plain = await run(['--help'])
    expect(plain.stdout).not.toContain('\u001b[')
    const coloured = await run(['--help'], { tty: ['stdout'] })
    expect(coloured.stdout).toContain('\u001b[1mUsage:')
    const failure = await run(['nonsense'], { tty: ['stderr'] })
    expect(failure.stderr).toMatch(/^\u001b\[31mkeystay:/u)
  })

  test('into a closed pipe ends quietly', async () => {
    const { backends, backend } = await fakeBackends()
    await backend.generateKey('p256v1', { label: 'keystay:unread' })
    const stdout = new Writable({
      write: (_chunk, _encoding, done) => {
        done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
      },
    })
    stdout.on('error', () => undefined)
    const argv = ['keys', 'list', '--backend', 'webcrypto:']
    expect(await run(argv, { backends, stdout })).toMatchObject({ exitCode: 0, stderr: '' })
  })
})
