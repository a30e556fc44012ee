import { describe, expect, test, vi } from 'vitest'
import { openAwsKmsBackend } from '../../../backends/aws-kms/index.ts'
import { KEY_TYPES, type KeyType } from '../../../src/csr/algorithms.ts'
import { failureOf, verifies } from './support.ts'

// For instance awskms:region=us-east-1;endpoint=http%3A%2F%2F127.0.0.1%3A4566
const uri = process.env.KEYSTAY_LOCALSTACK_URI

describe.skipIf(uri === undefined)('LocalStack, where KEYSTAY_LOCALSTACK_URI names one', () => {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const open = () => openAwsKmsBackend(uri ?? '', { credentials })
  const messages = [Uint8Array.of(1), new Uint8Array(4096), new Uint8Array(4097)]

  // RSA 4096 takes LocalStack half a minute, and has nothing that RSA 2048 has not.
  test.each<KeyType>(['rsa2048', 'rsa3072', 'p256v1', 'p384', 'p521'])(
    '%s: RAW and DIGEST, by each algorithm',
    async (keyType) => {
      await using backend = await open()
      const key = await backend.generateKey(keyType, { label: `keystay:localstack-${keyType}` })
      const { family, signatureAlgorithms } = KEY_TYPES[keyType]
      for (const algorithm of family === 'rsa' ? signatureAlgorithms : [signatureAlgorithms[0]]) {
        for (const message of messages) {
          const signature = await key.sign(message, algorithm)
          expect(verifies(key, algorithm, message, signature), algorithm).toBe(true)
        }
      }
      await backend.destroyKey(key.uri)
    },
  )

  test('Ed25519 is refused with a code of its own', async () => {
    await using backend = await open()
    const { code } = await failureOf(backend.generateKey('ed25519', { label: 'keystay:no' }))
    expect(code).toBe('key_type_unsupported')
  })

  test('found, listed, destroyed, and destroyed again', async () => {
    await using backend = await open()
    const label = `keystay:localstack-${crypto.randomUUID()}`
    const key = await backend.generateKey('p256v1', { label })
    expect(await backend.findKey(label)).toMatchObject({ uri: key.uri, label })
    const destruction = await backend.destroyKey(key.uri)
    expect(await backend.destroyKey(key.uri)).toEqual(destruction)
    const states = []
    for await (const listing of backend.listKeys({ labelPrefix: label })) states.push(listing.state)
    expect(states).toEqual(['scheduled'])
    expect((await failureOf(key.sign(Uint8Array.of(1)))).code).toBe('kms_key_pending_deletion')
  })

  test('a lost answer: the key is found', async () => {
    const { KMSClient } = await import('@aws-sdk/client-kms')
    await using plain = await open()
    const endpoint = decodeURIComponent(/endpoint=([^;]+)/.exec(plain.uri)?.[1] ?? '')
    const client = new KMSClient({ region: 'us-east-1', endpoint, credentials })
    const handler = client.config.requestHandler
    const handle = vi.spyOn(handler, 'handle').mockImplementationOnce(async (...args) => {
      await handler.handle(...args)
      throw Object.assign(new Error('the answer is lost'), { code: 'ECONNRESET' })
    })
    await using backend = await openAwsKmsBackend('awskms:', { client })
    const label = `keystay:lost-${crypto.randomUUID()}`
    const key = await backend.generateKey('p256v1', { label })
    expect(handle).toHaveBeenCalled()
    expect((await backend.findKey(label))?.uri).toBe(key.uri)
    await backend.destroyKey(key.uri)
    client.destroy()
  })
})
