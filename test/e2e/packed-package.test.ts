import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { RECORD } from '../support/record.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const run = promisify(execFile)
let project = ''

async function node(program: string): Promise<string> {
  await writeFile(join(project, 'program.mjs'), program)
  return (await run('node', ['program.mjs'], { cwd: project })).stdout
}

describe('the packed package in an empty project without optional peers', () => {
  beforeAll(async () => {
    project = await mkdtemp(join(tmpdir(), 'keystay-pack-'))
    const packed = await run(
      'npm',
      ['pack', '--json', '--ignore-scripts', '--pack-destination', project],
      {
        cwd: ROOT,
      },
    )

    const parsed = JSON.parse(packed.stdout) as Record<string, { filename: string }>
    const [tarball] = Object.values(parsed)
    await writeFile(join(project, 'package.json'), '{ "private": true, "type": "module" }')
    await run('npm', ['install', '--prefer-offline', `./${tarball?.filename ?? ''}`], {
      cwd: project,
    })
  }, 180_000)
  afterAll(() => rm(project, { recursive: true, force: true }))

  test('the root entry and the in-process backend work', async () => {
    const output = await node(`
      import { CsrBuilder, parseCsr } from 'keystay'
      import { openBackend } from 'keystay/backends'
      const backend = await openBackend('webcrypto:')
      const key = await backend.generateKey('p256v1', { label: 'keystay:packed' })
      const csr = await new CsrBuilder({ sans: ['app.example.com'] }).sign(key)
      console.log((await parseCsr(csr.pem)).signature.status)
    `)
    expect(output.trim()).toBe('valid')
  })

  test('the root entry bundles for a browser, with no Node module in its closure', async () => {
    const { outputFiles, warnings } = await build({
      stdin: { contents: "export * from 'keystay'", resolveDir: project },
      bundle: true,
      minify: true,
      write: false,
      platform: 'browser',
      format: 'esm',
    })
    expect(warnings).toEqual([])
    const code = outputFiles[0]?.contents ?? new Uint8Array()
    expect(new TextDecoder().decode(code)).not.toMatch(/["']node:|\brequire\(|\bBuffer\b/)
    expect(gzipSync(code).length).toBeLessThan(20 * 1024)
  })

  test('CommonJS can require the root entry', async () => {
    const program = "const { CsrBuilder } = require('keystay'); console.log(typeof CsrBuilder)"
    const { stdout } = await run('node', ['--input-type=commonjs', '-e', program], { cwd: project })
    expect(stdout.trim()).toBe('function')
  })

  test.each([
    ['pkcs11:token=t?module-path=/nowhere.so&pin-source=env:HOME', 'pkcs11js'],
    ['awskms:region=eu-central-1', '@aws-sdk/client-kms'],
  ])('openBackend(%j) names the package to install', async (uri, peer) => {
    const output = await node(`
      import { openBackend } from 'keystay/backends'
      try {
        const backend = await openBackend(${JSON.stringify(uri)})
        await backend.capabilities()
        await backend.generateKey('p256v1', { label: 'keystay:packed' })
      } catch (error) {
        console.log(error.code, error.message)
      }
    `)
    expect(output).toContain('peer_missing')
    expect(output).toContain(`npm install ${peer}`)
  })

  test('the service, its store on disk and the handler work', async () => {
    const output = await node(`
      import { createServer } from 'node:http'
      import { once } from 'node:events'
      import { openBackend } from 'keystay/backends'
      import { createHandler, grantAccess } from 'keystay/http'
      import { CustomCsrService } from 'keystay/lifecycle'
      import { toNodeListener } from 'keystay/node'
      import { openStore } from 'keystay/store'
      process.env.SECRET = crypto.randomUUID()
      await using backend = await openBackend('webcrypto:./keyring?secret-source=env:SECRET')
      await using store = await openStore('sqlite:./keystay.db')
      await using service = new CustomCsrService({ backend, store })
      const handler = createHandler(service, {
        authorize: () => grantAccess({ actor: 'me', role: 'edit', zones: ['demo'] }),
      })
      const server = createServer(toNodeListener(handler)).listen(0)
      await once(server, 'listening')
      const answer = await fetch(
        'http://127.0.0.1:' + server.address().port + '/client/v4/zones/demo/custom_csrs',
        {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: ${JSON.stringify(JSON.stringify(RECORD))},
        },
      )
      console.log(answer.status, (await answer.json()).result.csr)
      server.close()
    `)
    expect(output).toMatch(/^201 -----BEGIN CERTIFICATE REQUEST-----/)
  })

  test('openStore names the package to install', async () => {
    const output = await node(`
      import { openStore } from 'keystay/store'
      await openStore('postgres://nobody@127.0.0.1:1/none').catch((error) => {
        console.log(error.code, error.message)
      })
    `)
    expect(output).toMatch(/^peer_missing .*npm install pg/)
  })

  test('the command runs', async () => {
    const { stdout } = await run('npx', ['keystay', '--version'], { cwd: project })
    expect(stdout.trim()).toMatch(/^\d+\.\d+\.\d+$/)
  })

  test('keystay/testing loads without a test framework', async () => {
    const output = await node(
      "import * as testing from 'keystay/testing'; console.log(Object.keys(testing).toSorted().join())",
    )
    expect(output).toContain('createSoftHsmToken')
    expect(output).toContain('startKmsEmulator')
  })
})
