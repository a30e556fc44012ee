import { describe, expect, test } from 'vitest'
import { openWebCryptoBackend } from '../../backends/webcrypto/index.ts'
import { decodeEcdsaSignature } from '../../src/csr/signature-value.ts'
import { KeystayError } from '../../src/errors.ts'
import type { Attestation, AttestationLevel } from '../../src/key/attestation.ts'
import type { BackendKey, KeyBackend } from '../../src/key/backend.ts'
import { keyBackendContract } from '../../src/testing/contract/index.ts'
import { collect } from '../../src/testing/contract/workbench.ts'

type Changes<Whole> = (original: Whole) => Partial<Whole>

/** A backend that does all that the original does, but for the changes. */
function changed(original: KeyBackend, changes: Changes<KeyBackend>): KeyBackend {
  return {
    scheme: original.scheme,
    uri: original.uri,
    capabilities: (options) => original.capabilities(options),
    generateKey: (keyType, options) => original.generateKey(keyType, options),
    getKey: (uri, options) => original.getKey(uri, options),
    findKey: (label, options) => original.findKey(label, options),
    listKeys: (options) => original.listKeys(options),
    destroyKey: (uri, options) => original.destroyKey(uri, options),
    close: () => original.close(),
    [Symbol.asyncDispose]: () => original[Symbol.asyncDispose](),
    ...changes(original),
  }
}

/** The same for every key that the backend answers. */
function changedKeys(changes: Changes<BackendKey>): Changes<KeyBackend> {
  const change = (key: BackendKey): BackendKey => ({ ...key, ...changes(key) })
  return (original) => ({
    generateKey: async (...given) => change(await original.generateKey(...given)),
    getKey: async (...given) => change(await original.getKey(...given)),
    async findKey(...given) {
      const key = await original.findKey(...given)
      return key && change(key)
    },
  })
}

function changedAttestation(changes: Partial<Attestation>): Changes<KeyBackend> {
  return changedKeys((key) => ({
    attest: async () => ({ ...(await key.attest()), ...changes }),
  }))
}

const keep = new Map<string, BackendKey>()
let shared: Uint8Array = new Uint8Array()

/** What is broken, how, and the case that must find it. */
const BROKEN: readonly (readonly [string, string, Changes<KeyBackend>])[] = [
  [
    'signs something else',
    'p256v1: a new key signs',
    changedKeys((key) => ({
      sign: (message, ...rest) => key.sign(Uint8Array.of(...message.subarray(0, 99), 1), ...rest),
    })),
  ],
  [
    'answers raw r and s',
    'p256v1: a new key signs',
    changedKeys((key) => ({
      sign: async (...given) => decodeEcdsaSignature(await key.sign(...given), 32),
    })),
  ],
  [
    'ignores the algorithm that is asked for',
    'p384: a new key signs',
    changedKeys((key) => ({
      sign: (message, _algorithm, options) => key.sign(message, undefined, options),
    })),
  ],
  [
    'answers the public key of another key',
    'ed25519: a new key signs',
    changedKeys((key) => ({ publicKey: key.publicKey.with(20, (key.publicKey[20] ?? 0) ^ 1) })),
  ],
  [
    'changes the message',
    'ed25519: a new key signs',
    changedKeys((key) => ({
      sign: (message, ...rest) => key.sign(message.fill(0), ...rest),
    })),
  ],
  [
    'refuses long messages without saying why',
    'ed25519: a new key signs',
    changedKeys((key) => ({
      sign: async (message, ...rest) => {
        if (message.length > 4096) throw new KeystayError('backend_unavailable', 'too long')
        return key.sign(message, ...rest)
      },
    })),
  ],
  [
    'makes keys of a type that it does not name',
    'p521: a new key signs',
    (original) => ({
      capabilities: async () => ({ ...(await original.capabilities()), keyTypes: ['p256v1'] }),
    }),
  ],
  [
    'signs by an algorithm that it does not name',
    'p256v1: a new key signs',
    (original) => ({
      capabilities: async () => ({
        ...(await original.capabilities()),
        signatureAlgorithms: { p256v1: ['ecdsa-sha256'] },
      }),
    }),
  ],
  [
    'takes an unknown key type for another',
    'an unknown key type',
    (original) => ({ generateKey: (_keyType, options) => original.generateKey('p256v1', options) }),
  ],
  [
    'makes one key only',
    'every key is another key',
    (original) => ({
      async generateKey(keyType, options) {
        const key = keep.get(original.uri) ?? (await original.generateKey(keyType, options))
        keep.set(original.uri, key)
        return key
      },
    }),
  ],
  [
    'signs by any algorithm of any family',
    'an algorithm of another family',
    changedKeys((key) => ({ sign: (message) => key.sign(message) })),
  ],
  [
    'mixes up what is signed at the same time',
    '32 messages at once',
    changedKeys((key) => ({
      async sign(message) {
        shared = message
        await Promise.resolve()
        return key.sign(shared)
      },
    })),
  ],
  [
    'takes any label',
    'those that some device could not hold',
    (original) => ({
      generateKey: (keyType, { label, ...options }) =>
        original.generateKey(keyType, { label: `x${label}`.replace(/[^a-z]/g, ''), ...options }),
    }),
  ],
  [
    'does not tell upper from lower case',
    '64 characters',
    (original) => ({
      generateKey: (keyType, { label, ...options }) =>
        original.generateKey(keyType, { label: label.toLowerCase(), ...options }),
      findKey: (label) => original.findKey(label.toLowerCase()),
    }),
  ],
  [
    'makes a second key with a label',
    'one that is taken',
    (original) => ({
      generateKey: (keyType, { label, ...options }) =>
        original
          .generateKey(keyType, { label, ...options })
          .catch(() => original.generateKey(keyType, { label: `${label}2`, ...options })),
    }),
  ],
  [
    'asks first whether a label is taken, and then makes the key',
    'several keys asked for at once',
    (original) => ({
      async generateKey(keyType, { label, ...options }) {
        if ((await original.findKey(label)) !== undefined) {
          throw new KeystayError('label_taken', 'taken')
        }
        const unique = `${label}${crypto.randomUUID().slice(0, 8)}`
        return original.generateKey(keyType, { label: unique, ...options })
      },
    }),
  ],
  [
    'names keys by their label alone',
    'that of a destroyed key',
    (original) => ({
      async getKey(uri, options) {
        const known = keep.get(uri)
        const again = await original.findKey(known?.label ?? 'none')
        return again ?? original.getKey(uri, options)
      },
      async generateKey(keyType, options) {
        const key = await original.generateKey(keyType, options)
        keep.set(key.uri, key)
        return key
      },
    }),
  ],
  [
    'answers another key than the URI names',
    'by URI, with the public key',
    (original) => ({
      getKey: () => original.generateKey('p256v1', { label: crypto.randomUUID() }),
    }),
  ],
  [
    'looks everywhere for the keys of others',
    'the URI of a key elsewhere',
    (original) => ({
      getKey: (uri, options) =>
        original.getKey(uri, options).catch(() => {
          throw new KeystayError('key_not_found', 'no such key')
        }),
    }),
  ],
  [
    'throws what its parser throws',
    'what is no key URI',
    (original) => ({
      getKey: async (uri, options) => original.getKey(decodeURIComponent(uri), options),
    }),
  ],
  [
    'finds keys by the beginning of their label',
    'by the whole label only',
    (original) => ({
      async findKey(label) {
        for await (const { uri } of original.listKeys({ labelPrefix: label })) {
          return original.getKey(uri)
        }
        return undefined
      },
    }),
  ],
  [
    'lists everything, whatever the prefix',
    'listKeys: by prefix',
    (original) => ({ listKeys: () => original.listKeys() }),
  ],
  [
    'puts the PIN into URIs',
    'safe to show',
    changedKeys((key) => ({ uri: `${key.uri}?pin-value=1234` })),
  ],
  [
    'says where the PIN is',
    'safe to show',
    () => ({ uri: 'webcrypto:/k?secret-source=env:SECRET' }),
  ],
  [
    'calls itself durable, and is not',
    'still there when the backend is opened again',
    (original) => ({
      capabilities: async () => ({ ...(await original.capabilities()), durable: true }),
    }),
  ],
  [
    'destroys nothing',
    'destroyKey: the key is gone',
    () => ({ destroyKey: async () => ({ state: 'destroyed' }) }),
  ],
  [
    'destroys at once what it says is scheduled',
    'destroyKey: the key is gone',
    (original) => ({
      capabilities: async () => ({ ...(await original.capabilities()), deletion: 'scheduled' }),
    }),
  ],
  [
    'lets a handle sign after the end of its key',
    'nobody signs',
    (original) => ({
      async generateKey(keyType, options) {
        const key = await original.generateKey(keyType, options)
        return { ...key, sign: async () => Uint8Array.of(1) }
      },
    }),
  ],
  [
    'destroys more than it was asked to',
    'other keys are not touched',
    (original) => ({
      async destroyKey(uri) {
        const { label } = await original.getKey(uri)
        for await (const line of original.listKeys({ labelPrefix: label })) {
          await original.destroyKey(line.uri)
        }
        return { state: 'destroyed' }
      },
    }),
  ],
  [
    'destroys what is not there',
    'destroyKey: again',
    (original) => ({
      destroyKey: (uri) => original.destroyKey(uri).catch(() => ({ state: 'destroyed' })),
    }),
  ],
  [
    'has no algorithm for a key type that it names',
    'known names only',
    (original) => ({
      capabilities: async () => ({
        ...(await original.capabilities()),
        signatureAlgorithms: { ed25519: ['ed25519'] },
      }),
    }),
  ],
  [
    'attests a level of its own',
    'attest: a level',
    changedAttestation({ level: 'hardware' as AttestationLevel }),
  ],
  ['attests without evidence', 'attest: a level', changedAttestation({ level: 'vendor-attested' })],
  ['attests objects', 'attest: a level', changedAttestation({ claims: { nested: {} as string } })],
  [
    'ignores the signal',
    'signals: a call that is aborted',
    (original) => ({
      generateKey: (keyType, { label }) => original.generateKey(keyType, { label }),
    }),
  ],
  [
    'wraps the reason of the signal',
    'signals: a call that is aborted',
    (original) => ({
      findKey: (label, options) =>
        original.findKey(label, options).catch((cause: unknown) => {
          throw new KeystayError('backend_unavailable', 'aborted', { cause })
        }),
    }),
  ],
  ['goes on after close', 'close: every call afterwards', () => ({ close: async () => undefined })],
  [
    'cannot be closed twice',
    'close: twice',
    (original) => ({
      async close() {
        await original.findKey('any')
        await original.close()
      },
    }),
  ],
  [
    'closes while signatures are under way',
    'close: waits for',
    (original) => ({
      async close() {
        void original.close()
      },
    }),
  ],
]

describe('the contract finds a backend that', () => {
  test.each(BROKEN)('%s', async (_what, name, changes) => {
    const cases = keyBackendContract(async () =>
      changed(await openWebCryptoBackend('webcrypto:'), changes),
    ).filter((one) => one.name.includes(name))
    expect(cases).toHaveLength(1)
    await expect(cases[0]?.run()).rejects.toThrow()
  })

  test('closes what others have opened', async () => {
    const backends: KeyBackend[] = []
    const open = async (): Promise<KeyBackend> => {
      const one = changed(await openWebCryptoBackend('webcrypto:'), (original) => ({
        async close() {
          await Promise.all(backends.map((backend) => backend.close()))
          await original.close()
        },
      }))
      backends.push(await openWebCryptoBackend('webcrypto:'))
      return { ...one, generateKey: (...given) => (backends[0] ?? one).generateKey(...given) }
    }
    const found = keyBackendContract(open).find(({ name }) => name.includes('another opening'))
    await expect(found?.run()).rejects.toThrow('closed')
  })
})

describe('every case', () => {
  test('is failed by some broken backend above', () => {
    const names = keyBackendContract(() => openWebCryptoBackend('webcrypto:')).map(
      ({ name }) => name,
    )
    const unproven = names.filter(
      (name) =>
        !BROKEN.some(([, expected]) => name.includes(expected)) &&
        !/^(?:rsa\d+|p\d+v?1?): |another opening/.test(name),
    )
    expect(unproven).toEqual([])
  })

  test('leaves no key and no open backend behind, also when it fails', async () => {
    let open = 0
    const backend = await openWebCryptoBackend('webcrypto:')
    const cases = keyBackendContract(async () => {
      open++
      let closed = false
      const close = async (): Promise<void> => {
        if (!closed) open--
        closed = true
      }
      return changed(backend, () => ({ close, [Symbol.asyncDispose]: close }))
    })
    for (const { run } of cases) await run().catch(() => undefined)
    expect(open).toBe(0)
    expect(await collect(backend.listKeys())).toEqual([])
  })
})
