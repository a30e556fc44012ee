import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { describe, expect, test } from 'vitest'
import { diagnoseBackend, openBackend } from '../../backends/index.ts'
import { loadPeer } from '../../backends/peer.ts'
import { collect } from '../../src/testing/contract/workbench.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')

describe('openBackend', () => {
  test('opens what the scheme names', async () => {
    await using backend = await openBackend('webcrypto:')
    expect(backend.scheme).toBe('webcrypto')
  })

  test('hands each backend its own options', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'keystay-open-'))
    const webcrypto = { secret: randomBytes(32) }
    await using backend = await openBackend(`webcrypto:${directory}`, { webcrypto, pkcs11: {} })
    expect(backend.uri).toBe(`webcrypto:${directory}`)
    await rm(directory, { recursive: true })
  })

  test.each([
    ['softhsm:token=a?pin-value=hunter2', 'uri_scheme_unknown'],
    ['gcpkms:projects/a', 'uri_scheme_unknown'],
    ['/usr/lib/softhsm/libsofthsm2.so', 'uri_invalid'],
    ['', 'uri_invalid'],
  ])('refuses %j: %s', async (uri, code) => {
    const opening = openBackend(uri)
    await expect(opening).rejects.toMatchObject({ code })
    await expect(opening).rejects.not.toThrow('hunter2')
    await expect(collect(diagnoseBackend(uri))).rejects.toMatchObject({ code })
  })

  test('names the three schemes where it knows none', async () => {
    await expect(openBackend('x:')).rejects.toThrow('webcrypto:, pkcs11:, awskms:')
  })

  test('does nothing for a caller who has gone', async () => {
    const reason = new Error('gone')
    const signal = AbortSignal.abort(reason)
    await expect(openBackend('webcrypto:', { signal })).rejects.toBe(reason)
  })
})

describe('diagnoseBackend', () => {
  test('works where the backend does not open', async () => {
    const steps = await collect(
      diagnoseBackend('webcrypto:/proc/version?secret-source=env:NOT_SET'),
    )
    expect(steps.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'URI ok',
      'WebCrypto ok',
      'directory failed',
      'secret failed',
    ])
  })
})

describe('a peer that is missing', () => {
  test('is named, with how to install it', async () => {
    const absent = '@keystay/not-there'
    await expect(loadPeer(absent, () => import(absent))).rejects.toMatchObject({
      code: 'peer_missing',
      message: expect.stringContaining(`npm install ${absent}`) as string,
    })
  })

  test('is told from one that does not load', async () => {
    const broken = loadPeer('pkcs11js', () => Promise.reject(new Error('no native build')))
    await expect(broken).rejects.toThrow('is installed but does not load')
  })

  test('is looked for again each time', async () => {
    let installed = false
    const load = async (): Promise<string> => {
      if (!installed) throw Object.assign(new Error('absent'), { code: 'ERR_MODULE_NOT_FOUND' })
      return 'loaded'
    }
    await expect(loadPeer('later', load)).rejects.toMatchObject({ code: 'peer_missing' })
    installed = true
    expect(await loadPeer('later', load)).toBe('loaded')
  })

  test.each([
    ['pkcs11:token=a?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=env:PIN', 'pkcs11js'],
    ['awskms:region=eu-central-1', '@aws-sdk/client-kms'],
  ])('%s in a process that has no peers', async (uri, peer) => {
    const program = `
      import { registerHooks } from 'node:module'
      registerHooks({
        resolve(specifier, context, next) {
          if (specifier !== '${peer}') return next(specifier, context)
          throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
        },
      })
      const { openBackend } = await import('./backends/index.ts')
      await openBackend('${uri}').catch(({ code, message }) => console.log(code, message))`
    const given = ['--input-type=module', '--eval', program]
    const env = { ...process.env, PIN: 'hunter2' }
    const { stdout } = await run(process.execPath, given, { cwd: root, env })
    expect(stdout).toContain('peer_missing')
    expect(stdout).toContain(`npm install ${peer}`)
  })
})

test('the webcrypto backend loads nothing of Node until a keyring on disk is opened', async () => {
  const { metafile } = await build({
    entryPoints: { entry: join(root, 'backends/webcrypto/index.ts') },
    ...{ bundle: true, splitting: true, format: 'esm', platform: 'browser' },
    ...{ external: ['node:*'], write: false, metafile: true, outdir: 'out' },
  })
  const needed = new Set<string>()
  const visit = (file: string): void => {
    if (needed.has(file)) return
    needed.add(file)
    for (const { path, kind } of metafile.outputs[file]?.imports ?? []) {
      if (kind === 'import-statement') visit(path)
    }
  }
  visit('out/entry.js')
  expect([...needed].filter((file) => file.startsWith('node:'))).toEqual([])
  expect(Object.keys(metafile.outputs).length).toBeGreaterThan(needed.size)
})
