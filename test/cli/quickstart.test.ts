import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { MAIN, pipe, temporaryDirectory } from './support.ts'

const ROOT = resolve(import.meta.dirname, '../..')

test('npm run quickstart, twice; the commands that it prints work when pasted', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'with space')
  const script = join(ROOT, 'scripts/quickstart.ts')
  await pipe(process.execPath, [script, path])
  const output = await pipe(process.execPath, [script, path])
  const csr = join(path, 'app.example.com.csr')
  expect(await pipe('openssl', ['req', '-verify', '-noout', '-in', csr])).toMatch(/verify OK/)
  const shown = await pipe(process.execPath, [MAIN, 'inspect', csr])
  expect(output).toContain(shown)

  const commands = output
    .slice(output.indexOf('How to go on'), output.indexOf('The same with AWS KMS'))
    .split('\n')
    .filter((line) => line.startsWith('   '))
    .map((line) => line.trim().replace(/^npx keystay/, `"${process.execPath}" "${MAIN}"`))
  expect(commands.length).toBeGreaterThan(10)
  const pasted = await pipe('bash', ['-c', `cd "${ROOT}"; set -e\n${commands.join('\n')}`])
  expect(pasted.match(/BEGIN CERTIFICATE REQUEST/g)?.length).toBeGreaterThanOrEqual(2)
  expect(pasted).toMatch(/✔ destruction/)
  expect(pasted).toMatch(/^key: pkcs11:token=quickstart;/m)
  expect((await readFile(join(path, 'keyring.secret'))).length).toBeGreaterThan(40)
}, 120_000)
