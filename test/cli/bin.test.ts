import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { KEY_TYPE_NAMES } from '../../src/csr/algorithms.ts'
import { startKmsEmulator, type KmsEmulator } from '../../src/testing/kms-emulator/index.ts'
import { MAIN, REQUEST, pipe, spawnCli, temporaryDirectory } from './support.ts'

describe('the program', () => {
  test('tells the version of its package', async () => {
    expect(await spawnCli(['--version'])).toEqual({
      exitCode: 0,
      stdout: `${packageJson.version}\n`,
      stderr: '',
    })
  })

  test('exits with 2 for a wrong command line and with 1 for a failure', async () => {
    expect(await spawnCli(['nonsense'])).toMatchObject({ exitCode: 2, stdout: '' })
    const failed = await spawnCli(['doctor', '--backend', 'nonsense:'])
    expect(failed.exitCode).toBe(1)
    expect(failed.stderr).toMatch(/^keystay: .* \[uri_scheme_unknown\]\n$/)
  })

  test('ends with 130 on SIGINT, and with 143 on SIGTERM', async () => {
    for (const [signal, exitCode] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const child = spawn(process.execPath, [MAIN, 'csr', '--in', '-', '--backend', 'webcrypto:'])
      const ended = once(child, 'exit')
      // It has begun to read once it takes the second write.
      child.stdin.write(' '.repeat(200_000), () => child.kill(signal))
      const stderr = child.stderr.setEncoding('utf8').toArray()
      expect(await ended).toEqual([exitCode, null])
      expect((await stderr).join('')).toBe('keystay: interrupted [interrupted]\n')
    }
  })

  test('does not mind a reader that stops reading', async () => {
    await using directory = await temporaryDirectory()
    const errors = join(directory.path, 'errors')
    const csr = join(directory.path, 'app.csr')
    const keyring = `webcrypto:${directory.path}/keyring?secret-source=env:SECRET`
    const env = { SECRET: randomBytes(32).toString('hex') }
    await spawnCli(['csr', '--cn', 'x', '--out', csr, '--backend', keyring], { env })
    const command = `"${process.execPath}" "${MAIN}" inspect "${csr}" 2>"${errors}" | true; echo "\${PIPESTATUS[0]}"`
    expect(await pipe('bash', ['-c', command])).toBe('0\n')
    expect(await readFile(errors, 'utf8')).toBe('')
  })
})

describe('with a keyring on disk', () => {
  test('makes, lists and destroys keys, and shows the secret nowhere', async () => {
    await using directory = await temporaryDirectory()
    const secret = randomBytes(32).toString('base64')
    const keyring = join(directory.path, 'keyring')
    const env = {
      KEYSTAY_SECRET: secret,
      KEYSTAY_BACKEND: `webcrypto:${keyring}?secret-source=env:KEYSTAY_SECRET`,
    }
    const out = join(directory.path, 'app.csr')
    const record = join(directory.path, 'request.json')
    await writeFile(record, JSON.stringify(REQUEST))
    const runs = [
      await spawnCli(['csr', '--in', record, '--out', out, '--debug'], { env }),
      await spawnCli(['keys', 'list', '--json'], { env }),
      await spawnCli(['doctor', '--debug'], { env }),
      await spawnCli(['keys', 'list', '--debug'], {
        env: { ...env, KEYSTAY_SECRET: `${secret}x` },
      }),
      await spawnCli(['keys', 'list', '--debug'], {
        env: { ...env, KEYSTAY_SECRET: 'short-4711' },
      }),
    ]
    expect(runs.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 1, 1])
    expect(await pipe('openssl', ['req', '-verify', '-noout', '-in', out])).toMatch(/verify OK/)
    const [key] = JSON.parse(runs[1]?.stdout ?? '') as { uri: string }[]
    const destroyed = await spawnCli(['keys', 'destroy', key?.uri ?? '', '--yes'], { env })
    expect(destroyed).toMatchObject({ exitCode: 0, stdout: 'destroyed\n' })
    for (const { stdout, stderr } of runs) {
      expect(stdout + stderr).not.toContain(secret)
      expect(stdout + stderr).not.toContain('short-4711')
    }
  })
})

describe('with AWS KMS', () => {
  let emulator: KmsEmulator
  beforeAll(async () => {
    emulator = await startKmsEmulator()
  })
  afterAll(() => emulator.close())

  test.each(KEY_TYPE_NAMES)('csr with %s takes three calls', async (keyType) => {
    emulator.resetCalls()
    const args = ['csr', '--backend', emulator.uri, '--in', '-', '--json', '--key-type', keyType]
    const input = JSON.stringify(REQUEST)
    const { exitCode, stdout, stderr } = await spawnCli(args, { env: emulator.env, input })
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    const { csr, key } = JSON.parse(stdout) as { csr: string; key: string }
    expect(await pipe('openssl', ['req', '-verify', '-noout'], csr)).toMatch(/verify OK/)
    expect(key).toMatch(/^awskms:/)
    expect(emulator.calls()).toEqual({ CreateKey: 1, GetPublicKey: 1, Sign: 1 })
  })

  test('a key is scheduled for destruction, and doctor makes none unasked', async () => {
    const { uri, env } = emulator
    const before = emulator.keys().length
    const doctor = await spawnCli(['doctor', '--backend', uri], { env })
    expect(doctor).toMatchObject({ exitCode: 0, stderr: '' })
    expect(doctor.stdout).toMatch(/^– trial key .*--trial/m)
    expect(emulator.keys()).toHaveLength(before)

    const listed = await spawnCli(['keys', 'list', '--backend', uri, '--json'], { env })
    const [key] = JSON.parse(listed.stdout) as { uri: string }[]
    const argv = ['keys', 'destroy', key?.uri ?? '', '--backend', uri, '--yes']
    const { stdout } = await spawnCli(argv, { env })
    expect(stdout).toMatch(/^scheduled for 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ; /)
  })
})
