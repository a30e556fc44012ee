import { CsrBuilder, type KeyType } from '../src/index.ts'
import { openBackend } from '../backends/index.ts'
import { loop, measure, print } from './harness.ts'

const BARE = {
  p256v1: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  rsa2048: {
    ...{ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048 },
    publicExponent: Uint8Array.of(1, 0, 1),
  },
  ed25519: { name: 'Ed25519' },
} as const

/** Whole verified requests by the WebCrypto backend, against bare signing and verifying. */
export async function benchWebCrypto({ rounds }: { readonly rounds: number }): Promise<void> {
  await using backend = await openBackend('webcrypto:')
  const request = {
    subject: { country: 'US', commonName: 'app.example.com' },
    sans: ['a.example.com', 'b.example.com', 'c.example.com', 'd.example.com'],
  }
  const message = crypto.getRandomValues(new Uint8Array(400))
  for (const keyType of Object.keys(BARE) as (keyof typeof BARE & KeyType)[]) {
    const key = await backend.generateKey(keyType, { label: `bench:${keyType}` })
    const algorithm = BARE[keyType]
    const pair = (await crypto.subtle.generateKey(algorithm, false, [
      'sign',
      'verify',
    ])) as CryptoKeyPair
    const count = keyType === 'rsa2048' ? 300 : 2000
    for (const inFlight of [1, 64]) {
      print(
        `${keyType} by WebCrypto, ${inFlight} in flight`,
        await measure(
          [
            loop('keystay: encode, sign, verify', count, inFlight, () =>
              new CsrBuilder(request).sign(key),
            ),
            loop('bare subtle.sign + subtle.verify', count, inFlight, async () => {
              const signature = await crypto.subtle.sign(algorithm, pair.privateKey, message)
              await crypto.subtle.verify(algorithm, pair.publicKey, signature, message)
            }),
          ],
          rounds,
        ),
      )
    }
  }
}
