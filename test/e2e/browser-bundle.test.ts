import { resolve } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { build } from 'esbuild'
import { describe, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')

/**
 * Bundles a program for browsers. An import of a Node module fails, but where a part that browsers
 * never reach loads it dynamically.
 */
async function bundleForBrowsers(program: string, lazily: string[] = []): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir: ROOT, loader: 'ts' },
    bundle: true,
    write: false,
    platform: 'browser',
    external: lazily,
    format: 'iife',
    globalName: 'program',
    target: 'es2022',
  })
  return outputFiles[0]?.text ?? ''
}

/** Runs it where there is nothing but what the Web platform has: no process, Buffer or require. */
async function runAsBrowser(code: string): Promise<unknown> {
  const { crypto, TextEncoder, TextDecoder, URL, atob, btoa } = globalThis
  // Without this the bundle's own typed arrays would be of another realm than WebCrypto's.
  const realm = { Uint8Array, ArrayBuffer, DataView, Error, TypeError, Promise, Map, Set, Date }
  const context = createContext({
    ...{ crypto, TextEncoder, TextDecoder, URL, atob, btoa, AbortSignal, DOMException },
    ...realm,
  })
  runInContext(`${code}; globalThis.result = program.run()`, context)
  return (context as { result: Promise<unknown> }).result
}

const converted = ['www.xn--bcher-kva.example']

describe('in a browser, with WebCrypto alone', () => {
  test('the root entry encodes, signs, verifies and parses', async () => {
    const code = await bundleForBrowsers(`
      import { CsrBuilder, KeystayError, encodeEcdsaSignature, parseCsr } from './src/index.ts'
      export async function run() {
        const curve = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
        const pair = await crypto.subtle.generateKey(curve, false, ['sign', 'verify'])
        const csr = await new CsrBuilder({
          subject: { country: 'US', commonName: 'app.example.com' },
          sans: ['app.example.com', 'www.bücher.example', { ip: '2001:db8::1' }],
          internationalNames: 'convert',
        }).sign({
          keyType: 'p256v1',
          publicKey: new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey)),
          async sign(message) {
            const raw = await crypto.subtle.sign(curve, pair.privateKey, message)
            return encodeEcdsaSignature(new Uint8Array(raw), 32)
          },
        })
        const parsed = await parseCsr(csr.pem)
        const refused = await parseCsr('nonsense').catch((error) => error instanceof KeystayError)
        return [parsed.signature.status, csr.convertedNames.map((name) => name.ascii), refused]
      }
    `)
    expect(code).not.toMatch(/\bBuffer\b|\brequire\(|node:|\bprocess\./)
    expect(await runAsBrowser(code)).toEqual(['valid', converted, true])
  })

  test('the webcrypto backend works in memory', async () => {
    const code = await bundleForBrowsers(
      `
      import { CsrBuilder, parseCsr } from './src/index.ts'
      import { openWebCryptoBackend } from './backends/webcrypto/index.ts'
      export async function run() {
        const backend = await openWebCryptoBackend('webcrypto:')
        const seen = {}
        for (const keyType of (await backend.capabilities()).keyTypes) {
          if (keyType.startsWith('rsa') && keyType !== 'rsa2048') continue
          const key = await backend.generateKey(keyType, { label: 'keystay:' + keyType })
          const csr = await new CsrBuilder({ sans: ['app.example.com'] }).sign(key)
          seen[keyType] = (await parseCsr(csr.pem)).signature.status
        }
        return seen
      }
    `,
      ['node:*'],
    )
    expect(await runAsBrowser(code)).toEqual({
      rsa2048: 'valid',
      p256v1: 'valid',
      p384: 'valid',
      p521: 'valid',
      ed25519: 'valid',
    })
  })
})
