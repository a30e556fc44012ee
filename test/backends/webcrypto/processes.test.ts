import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWebCryptoBackend } from '../../../backends/webcrypto/index.ts'
import { verifySignature } from '../../../src/csr/verify-signature.ts'

const PROGRAM = join(import.meta.dirname, 'generate-keys.ts')
const env = { ...process.env, KEYRING_SECRET: randomBytes(32).toString('base64') }
process.env['KEYRING_SECRET'] = env.KEYRING_SECRET
const uriOf = (directory: string): string =>
  `webcrypto:${directory}?secret-source=env:KEYRING_SECRET`

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'keystay-processes-'))
})
afterAll(async () => {
  await rm(root, { recursive: true })
})

interface Ended {
  readonly signal: NodeJS.Signals | null
  /** What became of each label that was answered. */
  readonly answers: ReadonlyMap<string, string>
}

/** @param onAnswer called with the number of answers so far, and how to kill the process */
async function generate(
  directory: string,
  labels: readonly string[],
  onAnswer?: (count: number, kill: () => void) => void,
): Promise<Ended> {
  const child = spawn(process.execPath, [PROGRAM, uriOf(directory), ...labels], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    output += chunk
    onAnswer?.(output.split('\n').length - 2, () => child.kill('SIGKILL'))
  })
  const signal = await new Promise<NodeJS.Signals | null>((resolve) => {
    child.on('close', (_code, by) => {
      resolve(by)
    })
  })
  const answers = output
    .split('\n')
    .slice(1, -1)
    .map((line) => line.split(' ') as [string, string])
  return { signal, answers: new Map(answers) }
}

test('four processes make one keyring, and of each label one key', async () => {
  const directory = join(root, 'shared')
  const common = Array.from({ length: 20 }, (_, index) => `common:${index}`)
  const ended = await Promise.all(
    ['a', 'b', 'c', 'd'].map((name) =>
      generate(
        directory,
        common.flatMap((label, index) => [label, `own:${name}-${index}`]),
      ),
    ),
  )

  await using backend = await openWebCryptoBackend(uriOf(directory))
  for (const label of common) {
    const answers = ended.map(({ answers: given }) => given.get(label))
    const made = answers.filter((answer) => answer !== 'label_taken')
    expect(made).toHaveLength(1)
    expect((await backend.findKey(label))?.uri).toBe(made[0])
  }
  let own = 0
  for await (const { state } of backend.listKeys({ labelPrefix: 'own:' })) {
    expect(state).toBe('usable')
    own++
  }
  expect(own).toBe(80)
  expect((await readdir(directory)).filter((name) => name.startsWith('tmp-'))).toEqual([])
})

test('a process that is killed while it writes breaks nothing and loses no key', async () => {
  const directory = join(root, 'killed')
  const answered = new Map<string, string>()
  for (let round = 0; round < 6; round++) {
    const labels = Array.from({ length: 500 }, (_, index) => `round-${round}:${index}`)
    const { signal, answers } = await generate(directory, labels, (count, kill) => {
      // In the first round while the keyring itself is young, later in the middle of a key.
      if (count >= round * 4) setTimeout(kill, round * 0.4)
    })
    expect(signal).toBe('SIGKILL')
    for (const [label, uri] of answers) answered.set(label, uri)
  }
  expect(answered.size).toBeGreaterThan(10)

  // Leftovers are young still, and might be another process's work in progress: age them.
  const old = new Date(Date.now() - 120_000)
  for (const name of await readdir(directory)) await utimes(join(directory, name), old, old)
  await using backend = await openWebCryptoBackend(uriOf(directory))
  expect((await readdir(directory)).filter((name) => name.startsWith('tmp-'))).toEqual([])
  for (const uri of answered.values()) {
    const key = await backend.getKey(uri)
    const message = randomBytes(10)
    const signature = await key.sign(message)
    expect(await verifySignature(key.publicKey, 'ecdsa-sha256', message, signature)).toBe(true)
  }
  for await (const { state, label = '' } of backend.listKeys()) {
    expect(state).toBe('usable')
    // Made, though its process did not live to say so: its label finds it.
    if (!answered.has(label)) expect(await backend.findKey(label)).toBeDefined()
  }
})

test('a key that another process destroys is found no more', async () => {
  const uri = uriOf(join(root, 'destroyed'))
  await using one = await openWebCryptoBackend(uri)
  await using other = await openWebCryptoBackend(uri)
  const key = await one.generateKey('ed25519', { label: 'gone' })
  await other.destroyKey(key.uri)
  await expect(one.getKey(key.uri)).rejects.toMatchObject({ code: 'key_not_found' })
  await expect(key.sign(randomBytes(1))).rejects.toMatchObject({ code: 'key_not_found' })
  // Its label is free again, and destroying it once more does not touch the new key.
  const next = await other.generateKey('ed25519', { label: 'gone' })
  await expect(one.destroyKey(key.uri)).rejects.toMatchObject({ code: 'key_not_found' })
  expect((await one.findKey('gone'))?.uri).toBe(next.uri)
})
