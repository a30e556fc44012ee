import { describe, expect, test } from 'vitest'
import { KeystayError } from '../../src/errors.ts'
import type { DiagnosisStep } from '../../src/key/backend.ts'
import { errorOf, fakeBackends, keysOf, run } from './support.ts'

const DOCTOR = ['doctor', '--backend', 'webcrypto:']
const broken = new KeystayError('backend_unavailable', 'the token has gone')

interface Report {
  readonly ok: boolean
  readonly steps: readonly DiagnosisStep[]
}

function statuses(json: string): [string, string][] {
  return (JSON.parse(json) as Report).steps.map(({ name, status }) => [name, status])
}

describe('keystay doctor', () => {
  test('prints the steps of the backend, and the life of a trial key', async () => {
    const { backends, backend } = await fakeBackends({
      steps: [
        { name: 'module', status: 'ok', detail: 'loads' },
        { name: 'sessions', status: 'warning', detail: 'few', remedy: 'close some' },
        { name: 'firmware', status: 'skipped', detail: 'not told' },
      ],
    })
    const { exitCode, stdout, stderr } = await run(DOCTOR, { backends })
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    const patterns = [
      /^✔ module +loads$/,
      /^! sessions +few$/,
      /^ +→ close some$/,
      /^– firmware +not told$/,
      /^✔ capabilities +deletion immediate, keys stay$/,
      /^✔ trial key +p256v1, labelled keystay:doctor-[0-9a-f-]{36}$/,
      /^! attestation +software; .+$/,
      /^✔ signature +7\d bytes in [\d.]+ ms$/,
      /^✔ verification +ecdsa-sha256, /,
      /^✔ destruction +destroyed$/,
    ]
    const lines = stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(patterns.length)
    for (const [index, pattern] of patterns.entries()) expect(lines[index]).toMatch(pattern)
    expect(await keysOf(backend)).toEqual([])

    const json = await run([...DOCTOR, '--json'], { backends })
    expect(JSON.parse(json.stdout)).toMatchObject({
      ok: true,
      steps: expect.arrayContaining([
        { name: 'sessions', status: 'warning', detail: 'few', remedy: 'close some' },
      ]) as object,
    })
  })

  test('stops before the trial when a step failed, and exits with 1', async () => {
    const { backends } = await fakeBackends({
      steps: [{ name: 'login', status: 'failed', detail: 'wrong PIN', remedy: 'right PIN' }],
      generateKey: () => Promise.reject(new Error('trial')),
    })
    const text = await run(DOCTOR, { backends })
    expect(text.exitCode).toBe(1)
    expect(text.stdout).toMatch(/^✘ login +wrong PIN\n +→ right PIN\n$/)
    expect(text.stderr).toMatch(/^keystay: 1 of 1 steps failed; .* \[diagnosis_failed\]\n$/)
    const json = await run([...DOCTOR, '--json'], { backends })
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, steps: [{ remedy: 'right PIN' }] })
    expect(errorOf(json).code).toBe('diagnosis_failed')
  })

  test('makes no key where that costs money, unless asked to', async () => {
    const at = new Date('2026-12-23T10:11:12Z')
    const { backends, backend } = await fakeBackends({
      capabilities: { deletion: 'scheduled' },
      destroyKey: async () => ({ state: 'scheduled', at }),
    })
    const { exitCode, stdout } = await run(DOCTOR, { backends })
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^– trial key .*--trial/m)
    expect(await keysOf(backend)).toEqual([])
    const tried = await run([...DOCTOR, '--trial'], { backends })
    expect(tried.stdout).toMatch(/^✔ destruction +scheduled for 2026-12-23T10:11:12Z/m)
  })

  test('says which step of the trial failed, and destroys the key', async () => {
    const real = await fakeBackends()
    const unable = await fakeBackends({ generateKey: () => Promise.reject(broken) })
    expect(statuses((await run([...DOCTOR, '--json'], unable)).stdout)).toEqual([
      ['capabilities', 'ok'],
      ['trial key', 'failed'],
    ])

    const unsigning = await fakeBackends(
      {
        generateKey: async (keyType, options) => ({
          ...(await real.backend.generateKey(keyType, options)),
          sign: () => Promise.reject(broken),
        }),
      },
      real.backend,
    )
    expect(statuses((await run([...DOCTOR, '--json'], unsigning)).stdout).slice(2)).toEqual([
      ['attestation', 'warning'],
      ['signature', 'failed'],
      ['destruction', 'ok'],
    ])

    const lying = await fakeBackends(
      {
        generateKey: async (keyType, options) => {
          const key = await real.backend.generateKey(keyType, options)
          const sign: typeof key.sign = (_message, ...rest) => key.sign(new Uint8Array(8), ...rest)
          return { ...key, sign }
        },
      },
      real.backend,
    )
    const lied = await run([...DOCTOR, '--json'], lying)
    expect(lied.exitCode).toBe(1)
    expect(statuses(lied.stdout).slice(3)).toEqual([
      ['signature', 'ok'],
      ['verification', 'failed'],
      ['destruction', 'ok'],
    ])
    expect(await keysOf(real.backend)).toEqual([])
  })

  test('names the key that it could not destroy', async () => {
    const { backends, backend } = await fakeBackends({ destroyKey: () => Promise.reject(broken) })
    const { exitCode, stdout } = await run(DOCTOR, { backends })
    const [uri = ''] = await keysOf(backend)
    expect(exitCode).toBe(1)
    expect(stdout).toMatch(/^✘ destruction +the token has gone$/m)
    expect(stdout).toContain(`→ destroy the key yourself: keystay keys destroy '${uri}' --backend`)
  })

  test('warns of keys that die with the process', async () => {
    const { exitCode, stdout } = await run(DOCTOR)
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^! capabilities +deletion immediate, keys die with the process$/m)
  })
})
