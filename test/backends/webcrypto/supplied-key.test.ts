import { describe, expect, test } from 'vitest'
import { openWebCryptoBackend, type SuppliedKey } from '../../../backends/webcrypto/index.ts'
import { CsrBuilder } from '../../../src/csr/csr-builder.ts'
import { parseCsr } from '../../../src/csr/parse-csr.ts'

const RSA = { modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) }
const pairOf = async (algorithm: object, extractable = false): Promise<CryptoKeyPair> =>
  (await crypto.subtle.generateKey(algorithm as Algorithm, extractable, [
    'sign',
    'verify',
  ])) as CryptoKeyPair

const request = new CsrBuilder({ subject: { commonName: 'supplied.example' } })

describe('a CryptoKey of one’s own', () => {
  test.each([
    ['p256v1', { name: 'ECDSA', namedCurve: 'P-256' }, 'ecdsa-sha384'],
    ['p521', { name: 'ECDSA', namedCurve: 'P-521' }, 'ecdsa-sha512'],
    ['ed25519', { name: 'Ed25519' }, 'ed25519'],
    ['rsa2048', { name: 'RSA-PSS', hash: 'SHA-384', ...RSA }, 'rsa-pss-sha384'],
    ['rsa2048', { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', ...RSA }, 'rsa-pkcs1-sha256'],
  ] as const)('%s signs requests', async (keyType, algorithm, signatureAlgorithm) => {
    const pair = await pairOf(algorithm)
    await using backend = await openWebCryptoBackend('webcrypto:', {
      keys: [{ label: 'mine', ...pair }],
    })
    const key = await backend.findKey('mine')
    if (key === undefined) expect.fail('the key is not found')
    expect(key.keyType).toBe(keyType)
    const csr = await request.sign(key, { signatureAlgorithm })
    expect((await parseCsr(csr.der)).signature.status).toBe('valid')
    expect((await key.attest()).claims).toMatchObject({ extractable: false })
  })

  test('has the same URI each time it is supplied', async () => {
    const pair = await pairOf({ name: 'Ed25519' }, true)
    const publicKey = new Uint8Array(await crypto.subtle.exportKey('spki', pair.publicKey))
    await using one = await openWebCryptoBackend('webcrypto:', {
      keys: [{ label: 'mine', ...pair }],
    })
    const key = await one.findKey('mine')
    await using other = await openWebCryptoBackend('webcrypto:', {
      keys: [{ label: 'mine', privateKey: pair.privateKey, publicKey }],
    })
    const again = await other.getKey(key?.uri ?? '')
    expect(again.publicKey).toEqual(publicKey)
    const { claims, concerns } = await again.attest()
    expect(claims).toMatchObject({ extractable: true })
    expect(concerns).toHaveLength(2)
  })

  test('may belong to another provider of WebCrypto', async () => {
    const { privateKey, publicKey } = await pairOf({ name: 'Ed25519' })
    // A provider's keys are no keys to the runtime: here they are numbers in disguise.
    const disguised = { type: 'private', usages: ['sign'], algorithm: { name: 'Ed25519' } }
    const spki = new Uint8Array(await crypto.subtle.exportKey('spki', publicKey))
    await using backend = await openWebCryptoBackend('webcrypto:', {
      keys: [
        {
          label: 'mine',
          privateKey: disguised as unknown as CryptoKey,
          publicKey: spki,
          subtle: {
            sign: (algorithm, _key, data) => crypto.subtle.sign(algorithm, privateKey, data),
          },
        },
      ],
    })
    const key = await backend.findKey('mine')
    if (key === undefined) expect.fail('the key is not found')
    await request.sign(key)
  })

  test('that is bound to one algorithm says so of the others', async () => {
    const pair = await pairOf({ name: 'RSA-PSS', hash: 'SHA-256', ...RSA })
    await using backend = await openWebCryptoBackend('webcrypto:', {
      keys: [{ label: 'mine', ...pair }],
    })
    const key = await backend.findKey('mine')
    await expect(key?.sign(Uint8Array.of(1))).rejects.toMatchObject({
      code: 'signature_algorithm_unsupported',
      message: expect.stringContaining('rsa-pss-sha256') as string,
    })
  })
})

describe('what does not fit is refused:', () => {
  const refuse = async (code: string, ...keys: SuppliedKey[]): Promise<void> => {
    const opening = openWebCryptoBackend('webcrypto:', { keys })
    await expect(opening).rejects.toMatchObject({ code })
  }

  test('halves of two pairs', async () => {
    const [one, other] = [await pairOf({ name: 'Ed25519' }), await pairOf({ name: 'Ed25519' })]
    const { privateKey } = one
    await refuse('crypto_key_invalid', { label: 'a', privateKey, publicKey: other.publicKey })
  })

  test('halves of two kinds', async () => {
    const { privateKey } = await pairOf({ name: 'Ed25519' })
    const { publicKey } = await pairOf({ name: 'ECDSA', namedCurve: 'P-256' })
    await refuse('crypto_key_invalid', { label: 'a', privateKey, publicKey })
  })

  test('two curves', async () => {
    const { privateKey } = await pairOf({ name: 'ECDSA', namedCurve: 'P-384' })
    const { publicKey } = await pairOf({ name: 'ECDSA', namedCurve: 'P-256' })
    await refuse('crypto_key_invalid', { label: 'a', privateKey, publicKey })
  })

  test('a public key in the place of the private one', async () => {
    const { publicKey } = await pairOf({ name: 'Ed25519' })
    await refuse('crypto_key_invalid', { label: 'a', privateKey: publicKey, publicKey })
  })

  test('RSA of a size or hash that nobody uses', async () => {
    const small = await pairOf({ name: 'RSA-PSS', hash: 'SHA-256', ...RSA, modulusLength: 1024 })
    await refuse('public_key_unsupported', { label: 'a', ...small })
    const weak = await pairOf({ name: 'RSA-PSS', hash: 'SHA-1', ...RSA })
    await refuse('crypto_key_invalid', { label: 'a', ...weak })
  })

  test('a label twice, or none', async () => {
    const pair = await pairOf({ name: 'Ed25519' })
    const other = await pairOf({ name: 'Ed25519' })
    await refuse('label_taken', { label: 'a', ...pair }, { label: 'a', ...other })
    await refuse('label_invalid', { label: '', ...pair })
  })

  test('a public key that is none', async () => {
    const { privateKey } = await pairOf({ name: 'Ed25519' })
    await refuse('der_invalid', { label: 'a', privateKey, publicKey: Uint8Array.of(1, 2, 3) })
  })

  test('keys for a keyring on disk', async () => {
    await expect(openWebCryptoBackend('webcrypto:/k', { keys: [] })).rejects.toThrow(TypeError)
  })
})
