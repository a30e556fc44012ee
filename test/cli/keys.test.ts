import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { KeystayError } from '../../src/errors.ts'
import { errorOf, fakeBackends, keysOf, pipe, run, typed } from './support.ts'

const ON_FAKE = ['--backend', 'webcrypto:']

describe('keystay keys list', () => {
  test('prints a table, and the same as JSON', async () => {
    const { backends, backend } = await fakeBackends()
    const key = await backend.generateKey('p256v1', { label: 'keystay:one' })
    await backend.generateKey('ed25519', { label: 'other:two' })

    const table = await run(['keys', 'list', ...ON_FAKE], { backends })
    expect(table).toMatchObject({ exitCode: 0, stderr: '' })
    const [head = '', ...rows] = table.stdout.trimEnd().split('\n')
    expect(head).toMatch(/^TYPE +STATE +CREATED +LABEL +KEY$/)
    expect(rows).toHaveLength(2)
    expect(rows.find((row) => row.includes('keystay:one'))).toMatch(
      /^p256v1 +usable +(\S+Z|-) +keystay:one +webcrypto:\S+$/,
    )

    const json = await run(['keys', 'list', ...ON_FAKE, '--label', 'keystay:', '--json'], {
      backends,
    })
    const [only, ...others] = JSON.parse(json.stdout) as Record<string, unknown>[]
    expect(only).toMatchObject({ uri: key.uri, label: 'keystay:one', key_type: 'p256v1' })
    expect(only).toMatchObject({ state: 'usable' })
    expect(others).toEqual([])
  })

  test('of an empty backend is an empty array, and a word to a person', async () => {
    const { backends } = await fakeBackends()
    expect(await run(['keys', 'list', ...ON_FAKE, '--json'], { backends })).toEqual({
      exitCode: 0,
      stdout: '[]\n',
      stderr: '',
    })
    expect((await run(['keys', 'list', ...ON_FAKE], { backends })).stderr).toBe('no keys\n')
  })

  test('escapes what a label could do to a terminal', async () => {
    const { backends } = await fakeBackends({
      async *listKeys() {
        const label = 'evil\u001b[2J\u202e\u009b'
        yield { uri: 'x:y', label, keyType: undefined, state: 'usable', createdAt: undefined }
      },
    })
    const table = await run(['keys', 'list', ...ON_FAKE], { backends })
    expect(table.stdout).toContain('evil\\u{1b}[2J\\u{202e}\\u{9b}')
    const json = await run(['keys', 'list', ...ON_FAKE, '--json'], { backends })
    expect(json.stdout).not.toMatch(/[\u001b\u202e\u009b]/u)
    expect(JSON.parse(json.stdout)).toMatchObject([{ label: 'evil\u001b[2J\u202e\u009b' }])
  })

  test('that fails half-way leaves JSON that nobody can take for whole', async () => {
    const { backends } = await fakeBackends({
      async *listKeys() {
        yield {
          uri: 'x:y',
          label: 'a',
          keyType: 'p384',
          state: 'usable',
          createdAt: new Date(0),
        }
        throw new KeystayError('backend_unavailable', 'the token has gone')
      },
    })
    const result = await run(['keys', 'list', ...ON_FAKE, '--json'], { backends })
    expect(result.exitCode).toBe(1)
    expect(() => JSON.parse(result.stdout) as unknown).toThrow(SyntaxError)
    expect(errorOf(result).code).toBe('backend_unavailable')
  })
})

describe('keystay keys show', () => {
  test('shows a key and its public half', async () => {
    const { backends, backend } = await fakeBackends()
    const key = await backend.generateKey('p384', { label: 'keystay:shown' })
    const text = await run(['keys', 'show', key.uri, ...ON_FAKE], { backends })
    expect(text.stdout).toContain(key.uri)
    expect(text.stdout).toMatch(/^Label +keystay:shown$/m)
    expect(text.stdout).toMatch(/^Kept +software \(webcrypto\)$/m)
    expect(await pipe('openssl', ['pkey', '-pubin', '-noout', '-text'], text.stdout)).toContain(
      'secp384r1',
    )

    const json = await run(['keys', 'show', key.uri, ...ON_FAKE, '--json'], { backends })
    const shown = JSON.parse(json.stdout) as Record<string, unknown>
    expect(shown).toMatchObject({ uri: key.uri, label: 'keystay:shown', key_type: 'p384' })
    expect(shown['attestation']).toMatchObject({ level: 'software', backend: 'webcrypto' })
    expect(Object.keys(shown)).toEqual(['uri', 'label', 'key_type', 'public_key', 'attestation'])
  })

  test("refuses another backend's key, in one line", async () => {
    const { backends } = await fakeBackends()
    const result = await run(['keys', 'show', 'pkcs11:token=x;id=%01', ...ON_FAKE], { backends })
    expect(result).toMatchObject({ exitCode: 1, stdout: '' })
    expect(result.stderr).toMatch(/^keystay: .* \[key_uri_foreign\]\n$/)
  })
})

describe('keystay keys destroy', () => {
  test('takes --yes', async () => {
    const { backends, backend } = await fakeBackends()
    const { uri } = await backend.generateKey('p256v1', { label: 'keystay:gone' })
    const result = await run(['keys', 'destroy', uri, ...ON_FAKE, '--yes'], { backends })
    expect(result).toEqual({ exitCode: 0, stdout: 'destroyed\n', stderr: '' })
    expect(await keysOf(backend)).toEqual([])
  })

  test('refuses where nobody can be asked, before it opens anything', async () => {
    const result = await run(['keys', 'destroy', 'x:y', ...ON_FAKE], {
      backends: {
        openBackend: () => Promise.reject(new Error('opened')),
        diagnoseBackend: () => {
          throw new Error('diagnosed')
        },
      },
    })
    expect(result.exitCode).toBe(2)
    expect(result.stderr).toMatch(/add --yes .* \[usage_invalid\]\n$/)
  })

  test.each([
    ['yes\n', 0, 0],
    ['y\n', 1, 1],
    ['\n', 1, 1],
  ])('asks on a terminal, and %j ends with exit code %i', async (answer, exitCode, left) => {
    const { backends, backend } = await fakeBackends()
    const { uri } = await backend.generateKey('p256v1', { label: 'keystay:asked' })
    const result = await run(['keys', 'destroy', uri, ...ON_FAKE], {
      backends,
      stdin: typed(answer),
      tty: ['stdin'],
    })
    expect(result.exitCode).toBe(exitCode)
    expect(result.stderr).toContain(`Destroy ${uri} for good? Type yes: `)
    if (exitCode === 1) expect(result.stderr).toMatch(/\[not_confirmed\]\n$/)
    expect(await keysOf(backend)).toHaveLength(left)
  })

  test('takes the end of input, and Ctrl-C, for a no', async () => {
    const { backends, backend } = await fakeBackends()
    const { uri } = await backend.generateKey('p256v1', { label: 'keystay:kept' })
    const ended = new PassThrough()
    ended.end()
    const argv = ['keys', 'destroy', uri, ...ON_FAKE]
    const atEnd = await run(argv, { backends, stdin: ended, tty: ['stdin'] })
    expect(atEnd.exitCode).toBe(1)

    const controller = new AbortController()
    setTimeout(() => {
      controller.abort()
    }, 20)
    const waiting = new PassThrough()
    const { signal } = controller
    const interrupted = await run(argv, { backends, stdin: waiting, tty: ['stdin'], signal })
    expect(interrupted.exitCode).toBe(130)
    expect(interrupted.stderr).toMatch(/\[interrupted\]\n$/)
    expect(await keysOf(backend)).toHaveLength(1)
  })

  test('says for when a destruction is scheduled', async () => {
    const at = new Date('2026-12-23T10:11:12.345Z')
    const { backends } = await fakeBackends({
      destroyKey: async () => ({ state: 'scheduled', at }),
    })
    const text = await run(['keys', 'destroy', 'x:y', ...ON_FAKE, '-y'], { backends })
    expect(text.stdout).toMatch(/^scheduled for 2026-12-23T10:11:12Z; /)
    const json = await run(['keys', 'destroy', 'x:y', ...ON_FAKE, '-y', '--json'], { backends })
    expect(JSON.parse(json.stdout)).toEqual({
      uri: 'x:y',
      state: 'scheduled',
      scheduled_for: '2026-12-23T10:11:12.345Z',
    })
  })
})
