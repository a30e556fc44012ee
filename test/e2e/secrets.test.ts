import { randomBytes, randomInt } from 'node:crypto'
import { globSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createSoftHsmToken, startKmsEmulator } from '../../src/testing/index.ts'
import { REQUEST, run, temporaryDirectory } from '../cli/support.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

/** A secret in every form in which it could be printed or stored. */
function formsOf(secret: Uint8Array): Buffer[] {
  const bytes = Buffer.from(secret)
  const texts = (['hex', 'base64', 'base64url'] as const).map((form) => bytes.toString(form))
  const upper = bytes.toString('hex').toUpperCase()
  // The padding and last letter of base64 depend on what follows.
  return [bytes, ...[...texts, upper].map((text) => Buffer.from(text.replace(/.?=*$/, '')))]
}

function expectAbsent(secrets: readonly Uint8Array[], where: string, content: Uint8Array): void {
  const found = secrets.flatMap(formsOf).filter((form) => Buffer.from(content).includes(form))
  expect(found.length, `a secret was found in ${where}`).toBe(0)
}

/** Has every private key that WebCrypto generates from now on noted down, bytes and all. */
function notePrivateKeys(): Promise<Uint8Array[]>[] {
  const noted: Promise<Uint8Array[]>[] = []
  const generateKey = crypto.subtle.generateKey.bind(crypto.subtle) as (
    ...args: unknown[]
  ) => Promise<CryptoKeyPair>
  vi.spyOn(crypto.subtle, 'generateKey').mockImplementation(((...args: unknown[]) => {
    const generated = generateKey(...args)
    noted.push(
      generated.then(async ({ privateKey }) => {
        if (!(privateKey as CryptoKey | undefined)?.extractable) return []
        const jwk = await crypto.subtle.exportKey('jwk', privateKey)
        const parts = [jwk.d, jwk.p, jwk.q].filter((part) => part !== undefined)
        return parts.map((part) => Buffer.from(part, 'base64url'))
      }),
    )
    return generated
  }) as never)
  return noted
}

/** Runs every command on a backend, in every way of printing; answers all that was printed. */
async function everyOutput(uri: string, wrongUris: readonly string[]): Promise<string> {
  const outputs: string[] = []
  const step = async (...argv: string[]): Promise<string> => {
    const stdin = JSON.stringify(REQUEST)
    const { stdout, stderr } = await run(argv, { stdin, tty: ['stdout', 'stderr'] })
    outputs.push(stdout, stderr)
    return stdout
  }
  for (const flags of [[], ['--debug'], ['--json'], ['--json', '--debug']]) {
    const json = await step('csr', '-b', uri, '--in', '-', '--json', ...flags)
    const { key } = JSON.parse(json) as { key: string }
    await step('csr', '-b', uri, '--in', '-', ...flags)
    await step('keys', 'list', '-b', uri, ...flags)
    await step('keys', 'show', key, '-b', uri, ...flags)
    await step('csr', '-b', uri, '-k', key, '-t', 'ed25519', '--cn', 'x', ...flags)
    await step('keys', 'destroy', key, '-b', uri, '--yes', ...flags)
    await step('keys', 'show', key, '-b', uri, ...flags)
    await step('doctor', '-b', uri, '--trial', ...flags)
    for (const wrong of wrongUris) {
      await step('doctor', '-b', wrong, ...flags)
      await step('csr', '-b', wrong, '--cn', 'x', ...flags)
    }
  }
  expect(outputs.join('')).toContain('CERTIFICATE REQUEST')
  return outputs.join('\n')
}

describe('no secret is printed or written', () => {
  test('by a keyring: neither its secret nor a private key', async () => {
    await using directory = await temporaryDirectory()
    const keyring = join(directory.path, 'keyring')
    const secrets = [randomBytes(24).toString('base64'), randomBytes(24).toString('base64')]
    const [file = '', wrongFile = ''] = ['secret', 'wrong'].map((name) =>
      join(directory.path, name),
    )
    await writeFile(file, secrets[0] ?? '')
    await writeFile(wrongFile, secrets[1] ?? '')
    const noted = notePrivateKeys()
    const output = await everyOutput(`webcrypto:${keyring}?secret-source=file:${file}`, [
      `webcrypto:${keyring}?secret-source=file:${wrongFile}`,
      `webcrypto:${keyring}?secret-source=${secrets[0] ?? ''}`,
      `webcrypto:${keyring}?secret=${secrets[0] ?? ''}`,
    ])
    const privateKeys = (await Promise.all(noted)).flat()
    expect(privateKeys.length).toBeGreaterThan(8)
    const sought = [...privateKeys, ...secrets.map((secret) => Buffer.from(secret))]
    expectAbsent(sought, 'the output', Buffer.from(output))
    const files = globSync(`${keyring}/**/*`, { withFileTypes: true }).filter((at) => at.isFile())
    expect(files.length).toBeGreaterThan(4)
    for (const { parentPath, name } of files) {
      expectAbsent(sought, name, await readFile(join(parentPath, name)))
    }
  })

  test('by a token: not its PIN, right or wrong, wherever it was given', async () => {
    await using token = await createSoftHsmToken()
    await using directory = await temporaryDirectory()
    const pin = await readFile(token.pinFile, 'utf8')
    const wrongPin = Array.from({ length: 12 }, () => randomInt(10)).join('')
    const wrongFile = join(directory.path, 'wrong')
    await writeFile(wrongFile, wrongPin)
    const from = (source: string): string => token.uri.replace(/pin-source=.*/, source)
    const output = await everyOutput(token.uri, [
      from(`pin-source=file:${wrongFile}`),
      from(`pin-source=${pin}`),
      from(`pin-value=${pin}`),
      from(`pin-value=${pin};x=y`),
      from(`pin_value=${pin}`),
      from(`pinvalue=${pin}`),
      token.uri.replace('?', `;pin-value=${pin}?`),
    ])
    expectAbsent([Buffer.from(pin), Buffer.from(wrongPin)], 'the output', Buffer.from(output))
  })

  test('by AWS KMS: not the credentials', async () => {
    const emulator = await startKmsEmulator()
    for (const [name, value] of Object.entries(emulator.env)) vi.stubEnv(name, value)
    const secret = randomBytes(20).toString('hex')
    const session = randomBytes(20).toString('hex')
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', secret)
    vi.stubEnv('AWS_SESSION_TOKEN', session)
    try {
      const output = await everyOutput(emulator.uri, [
        'awskms:region=us-east-1;endpoint=http%3A%2F%2F127.0.0.1%3A1',
        `awskms:region=us-east-1;secret=${secret}`,
      ])
      expectAbsent([Buffer.from(secret), Buffer.from(session)], 'the output', Buffer.from(output))
    } finally {
      vi.unstubAllEnvs()
      await emulator.close()
    }
  })
})
