import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parseCsr } from '../../src/index.ts'
import { createSoftHsmToken, startKmsEmulator } from '../../src/testing/index.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const run = promisify(execFile)
const readme = await readFile(join(ROOT, 'README.md'), 'utf8')

async function runExample(env: Record<string, string>): Promise<string> {
  const { stdout } = await run('node', ['examples/embed.ts'], {
    cwd: ROOT,
    env: { ...process.env, ...env },
  })
  return stdout
}

describe('the README', () => {
  test.each(['embed.ts', 'embed/service.ts'])('shows examples/%s as it is', async (file) => {
    expect(readme).toContain(await readFile(join(ROOT, 'examples', file), 'utf8'))
  })

  test('the example runs in memory, on SoftHSM and on KMS, by changing one string', async () => {
    await using token = await createSoftHsmToken()
    const emulator = await startKmsEmulator()
    for (const env of [
      { KEYSTAY_BACKEND: 'webcrypto:' },
      { KEYSTAY_BACKEND: token.uri, ...token.env },
      { KEYSTAY_BACKEND: emulator.uri, ...emulator.env },
    ]) {
      const { signature, subject } = await parseCsr(await runExample(env))
      expect(signature.status).toBe('valid')
      expect(subject.text).toBe('CN=app.example.com,O=City of Boston,C=US')
    }
    await emulator.close()
  })

  test('points at files that are there', () => {
    const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map(([, target = '']) => target)
    expect(links.length).toBeGreaterThan(5)
    expect(links.filter((target) => !existsSync(join(ROOT, target)))).toEqual([])
  })

  test('names npm scripts that there are', async () => {
    const { scripts } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    const named = [...readme.matchAll(/npm run ([\w-]+)/g)].map(([, name = '']) => name)
    expect(named.length).toBeGreaterThan(5)
    expect(named.filter((name) => !(name in scripts))).toEqual([])
  })
})
