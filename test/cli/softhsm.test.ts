import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KEY_TYPE_NAMES } from '../../src/csr/algorithms.ts'
import { createSoftHsmToken, type SoftHsmToken } from '../../src/testing/softhsm.ts'
import { REQUEST, errorOf, pipe, spawnCli, type RunResult } from './support.ts'

let token: SoftHsmToken
let pin = ''
/** Everything that any run printed. */
let printed = ''

async function keystay(args: readonly string[], input = ''): Promise<RunResult> {
  const env = { ...token.env, KEYSTAY_BACKEND: token.uri }
  const result = await spawnCli(args, { env, input })
  printed += result.stdout + result.stderr
  return result
}

function pkcs11Tool(...args: string[]): Promise<string> {
  const login = ['--module', token.modulePath, '--token-label', token.label, '--login']
  return pipe('pkcs11-tool', [...login, '--pin', pin, ...args])
}

describe('keystay on SoftHSM', () => {
  beforeAll(async () => {
    token = await createSoftHsmToken()
    pin = await readFile(token.pinFile, 'utf8')
  })
  afterAll(() => token.dispose())

  test.each(KEY_TYPE_NAMES)('csr with %s', async (keyType) => {
    const record = JSON.stringify({ ...REQUEST, key_type: keyType })
    const args = ['csr', '--in', '-', '--json', '--label', `label/${keyType}`]
    const { exitCode, stdout, stderr } = await keystay(args, record)
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    const answer = JSON.parse(stdout) as {
      key: string
      csr: string
      key_type: string
      attestation: { level: string; claims: Record<string, unknown> }
    }
    expect(answer).toMatchObject({ key_type: keyType })
    expect(answer.attestation).toMatchObject({
      level: 'claimed-by-token',
      claims: { CKA_SENSITIVE: true, CKA_NEVER_EXTRACTABLE: true, CKA_LOCAL: true },
    })
    expect(answer.key).toMatch(/^pkcs11:/)

    const shown = await pipe('openssl', ['req', '-verify', '-noout', '-subject'], answer.csr)
    expect(shown).toMatch(/verify OK/)
    expect(shown).toContain('CN = app.example.com')

    const id = /id=((?:%[0-9a-f]{2})+)/.exec(answer.key)?.[1]?.replaceAll('%', '') ?? ''
    const onToken = await pkcs11Tool('--list-objects', '--type', 'privkey', '--id', id)
    expect(onToken).toContain(`label/${keyType}`)
    expect(onToken).toMatch(/Access: +sensitive, always sensitive, never extractable, local/)
  })

  test('list, show, inspect, doctor, destroy', async () => {
    const listed = await keystay(['keys', 'list', '--json', '--label', 'label/p'])
    const keys = JSON.parse(listed.stdout) as { uri: string; key_type: string }[]
    expect(keys.map(({ key_type }) => key_type).sort()).toEqual(['p256v1', 'p384', 'p521'])
    const uri = keys.find(({ key_type }) => key_type === 'p384')?.uri ?? ''
    expect((await keystay(['keys', 'show', uri])).stdout).toMatch(/^Type +p384$/m)

    const again = await keystay(['csr', '--key', uri, '--cn', 'again'])
    expect(again.stderr).toContain(`key: ${uri}\n`)
    expect(await pipe('openssl', ['req', '-verify', '-noout'], again.stdout)).toMatch(/verify OK/)
    expect((await keystay(['inspect', '-'], again.stdout)).stdout).toContain('✔ valid')

    const doctor = await keystay(['doctor'])
    expect(doctor.exitCode).toBe(0)
    expect(doctor.stdout).toMatch(/✔ login .*✔ verification .*✔ destruction +destroyed/s)
    expect(doctor.stdout).not.toMatch(/[✘–]/)

    const destroyed = await keystay(['keys', 'destroy', uri, '--yes', '--json'])
    expect(JSON.parse(destroyed.stdout)).toEqual({ uri, state: 'destroyed', scheduled_for: null })
    const gone = await keystay(['keys', 'show', uri, '--json'])
    expect(errorOf(gone).code).toBe('key_not_found')
    expect(await pkcs11Tool('--list-objects')).not.toContain('label/p384')
  })

  test('the PIN appears nowhere, right or wrong', async () => {
    const wrongPin = '987123654098'
    const wrongFile = join(token.directory, 'wrong.pin')
    await writeFile(wrongFile, wrongPin, { mode: 0o600 })
    const wrong = token.uri.replace(token.pinFile, wrongFile)
    const inUri = token.uri.replace(/pin-source=.*/, `pin-value=${pin}`)
    const runs = [wrong, inUri, `${inUri}&x=1`].flatMap((backend) =>
      [['doctor'], ['keys', 'list'], ['csr', '--cn', 'x']].map((command) =>
        keystay([...command, '--backend', backend, '--debug']),
      ),
    )
    runs.push(keystay(['csr', '--in', token.pinFile, '--debug', '--json']))
    runs.push(keystay(['inspect', token.pinFile, '--debug', '--json']))
    for (const result of await Promise.all(runs)) expect(result.exitCode).toBe(1)
    expect(printed.length).toBeGreaterThan(10_000)
    expect(printed).not.toContain(pin)
    expect(printed).not.toContain(wrongPin)
    expect(printed).not.toContain('PRIVATE KEY')
  })
})
