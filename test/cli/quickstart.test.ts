import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { startServe } from '../support/serve-process.ts'
import { MAIN, pipe, temporaryDirectory } from './support.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const NODE = `"${process.execPath}" "${MAIN}"`

/** The commands in a text, as somebody would paste them: indented lines. */
function commandsIn(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('   '))
    .map((line) => line.trim().replace(/^npx keystay/, NODE))
}

function between(text: string, from: string, to: string): string {
  return text.slice(text.indexOf(from), text.indexOf(to))
}

function paste(commands: readonly string[]): Promise<string> {
  return pipe('bash', ['-c', `cd "${ROOT}"; set -e\n${commands.join('\n')}`])
}

/** The variables that the file sets. */
async function readEnvironment(file: string): Promise<Record<string, string>> {
  const names = [...(await readFile(file, 'utf8')).matchAll(/^export (\w+)=/gm)]
  const shown = names.map(([, name = '']) => `printf '${name}=%s\\n' "$${name}"`)
  const lines = (await paste([`. '${file}'`, ...shown])).trim().split('\n')
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}

test('npm run quickstart, twice; what it and the README print works when pasted', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'with space')
  const script = join(ROOT, 'scripts/quickstart.ts')
  await pipe(process.execPath, [script, path])
  const output = await pipe(process.execPath, [script, path])
  expect(output).toContain('POST …/custom_csrs → 201')
  expect(output).toMatch(/GET …\/custom_csrs\?\S+ → 200/)
  expect(output).toContain('"total_count": 3')
  expect(output).toMatch(/DELETE …\/custom_csrs\/[0-9a-f-]{36} → 200/)

  const csr = join(path, 'app.example.com.csr')
  expect(await pipe('openssl', ['req', '-verify', '-noout', '-in', csr])).toMatch(/verify OK/)
  expect((await readFile(join(path, 'keyring.secret'))).length).toBeGreaterThan(40)
  const looking = commandsIn(between(output, 'How to go on', 'The same over HTTP'))
  expect(looking).toHaveLength(5)
  expect(await paste(looking)).toMatch(/✔ destruction/)

  const file = join(path, 'env')
  const { API = '', ...variables } = await readEnvironment(file)
  await using server = await startServe(variables)
  // Another port than everybody's.
  await writeFile(file, (await readFile(file, 'utf8')).replace(API, server.url))
  const asking = commandsIn(between(output, 'The same over HTTP', 'With SoftHSM')).filter(
    (command) => !command.endsWith('serve'),
  )
  expect(asking).toHaveLength(3)
  expect(await paste(asking)).toContain('"total_count":3')

  const readme = await readFile(join(ROOT, 'README.md'), 'utf8')
  const [, walk = ''] = /```sh\n(\. quickstart\/env\ncurl[^`]+)```/.exec(readme) ?? []
  const walked = await paste([
    walk
      .replaceAll('quickstart/env', `'${file}'`)
      .replaceAll('quickstart/answer.json', `'${join(path, 'answer.json')}'`),
  ])
  const [created, listed, fetched, ...rest] = walked.split('\n')
  expect(JSON.parse(created ?? '')).toMatchObject({ success: true, errors: [] })
  expect(listed).toContain('"total_count":4')
  expect(fetched).toContain('BEGIN CERTIFICATE REQUEST')
  expect(rest[0]).toBe('-----BEGIN CERTIFICATE REQUEST-----')
  expect(rest.join('\n')).toContain('Custom CSR deleted successfully')

  const onSoftHsm = commandsIn(between(output, 'With SoftHSM', 'With AWS KMS'))
  expect(onSoftHsm).toHaveLength(7)
  const pasted = await paste(onSoftHsm)
  expect(pasted).toMatch(/BEGIN CERTIFICATE REQUEST/)
  expect(pasted).toMatch(/^key: pkcs11:token=quickstart;/m)
}, 120_000)
