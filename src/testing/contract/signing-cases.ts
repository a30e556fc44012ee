import assert from 'node:assert/strict'
import {
  KEY_TYPES,
  KEY_TYPE_NAMES,
  SIGNATURE_ALGORITHMS,
  type KeyType,
  type SignatureAlgorithm,
} from '../../csr/algorithms.ts'
import { CsrBuilder } from '../../csr/csr-builder.ts'
import { parseCsr } from '../../csr/parse-csr.ts'
import { readPublicKey } from '../../csr/public-key.ts'
import { verifySignature } from '../../csr/verify-signature.ts'
import { KeystayError } from '../../errors.ts'
import type { BackendKey } from '../../key/backend.ts'
import { notSupported, rejects, type Cases, type Workbench } from './workbench.ts'

/** Around the 4,096 bytes beyond which some devices take no whole message. */
const MESSAGE_BYTES = [0, 1, 4096, 4097, 100_000] as const

function messageOf(length: number, seed = length): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index * 31 + seed)
}

async function signAndVerify(
  key: BackendKey,
  message: Uint8Array,
  algorithm?: SignatureAlgorithm,
): Promise<void> {
  const used = algorithm ?? KEY_TYPES[key.keyType].signatureAlgorithms[0]
  const what = `${key.keyType}, ${used}, ${message.length} bytes`
  const before = message.slice()
  const signature = await key.sign(message, algorithm)
  assert.deepEqual(message, before, `${what}: sign changed the message`)
  const valid = await verifySignature(key.publicKey, used, message, signature)
  assert.ok(valid, `${what}: the signature does not verify against the public key`)
}

/** Whether a device may refuse the message: none need take nothing, or what it cannot hash. */
function mayRefuse(error: unknown, algorithm: SignatureAlgorithm, length: number): boolean {
  if (!(error instanceof KeystayError)) return false
  if (length === 0) return true
  const hashless = SIGNATURE_ALGORITHMS[algorithm].hash === undefined
  return hashless && length > 4096 && error.code === 'message_too_long'
}

async function makesRequest(
  key: BackendKey,
  signatureAlgorithm: SignatureAlgorithm,
): Promise<void> {
  const request = { subject: { commonName: 'contract.example' }, sans: ['contract.example'] }
  const csr = await new CsrBuilder(request).sign(key, { signatureAlgorithm })
  const { signature, publicKey } = await parseCsr(csr.pem)
  assert.equal(signature.status, 'valid', `a request signed by ${signatureAlgorithm}`)
  assert.deepEqual(publicKey.spki, new Uint8Array(key.publicKey), 'the request has another key')
}

async function signsByEveryAlgorithm(bench: Workbench, key: BackendKey): Promise<void> {
  const named = bench.capabilities.signatureAlgorithms[key.keyType] ?? []
  for (const algorithm of KEY_TYPES[key.keyType].signatureAlgorithms) {
    const trial = key.sign(messageOf(10), algorithm)
    if (!named.includes(algorithm)) {
      const what = `signing by ${algorithm} with ${key.keyType}`
      await rejects(trial, what, 'signature_algorithm_unsupported')
      continue
    }
    await trial
    for (const length of MESSAGE_BYTES) {
      await signAndVerify(key, messageOf(length), algorithm).catch((error: unknown) => {
        if (!mayRefuse(error, algorithm, length)) throw error
      })
    }
    await makesRequest(key, algorithm)
  }
}

async function keyTypeCase(bench: Workbench, keyType: KeyType): Promise<void> {
  const label = bench.label()
  const named = bench.capabilities.keyTypes.includes(keyType)
  const key = await bench.generate({ keyType, label }).catch((error: unknown) => {
    // Some services cannot be asked what they offer in one place or another, only tried.
    if (error instanceof KeystayError && error.code === 'key_type_unsupported') return undefined
    throw error
  })
  if (key === undefined) {
    assert.equal(await bench.backend.findKey(label), undefined, `${keyType} left a key behind`)
    notSupported(`${keyType} is refused with key_type_unsupported`)
  }
  assert.ok(named, `capabilities() does not name ${keyType}`)
  assert.equal(key.keyType, keyType, 'the key says that it is of another type')
  assert.equal(readPublicKey(key.publicKey).keyType, keyType, 'the SPKI is of another type')
  assert.ok([undefined, label].includes(key.label), 'the key has another label')
  await signAndVerify(key, messageOf(300))
  await signsByEveryAlgorithm(bench, key)
}

/** Cases about generating keys of each type, and signing with them. */
export const signingCases: Cases = {
  ...Object.fromEntries(
    KEY_TYPE_NAMES.map((keyType) => [
      `${keyType}: a new key signs messages and requests by every algorithm`,
      (bench: Workbench): Promise<void> => keyTypeCase(bench, keyType),
    ]),
  ),

  'generateKey: an unknown key type is refused': async (bench) => {
    const label = bench.label()
    const unknown = bench.backend.generateKey('rsa1024' as KeyType, { label })
    await rejects(unknown, 'generating rsa1024', 'key_type_unknown', 'key_type_unsupported')
    assert.equal(await bench.backend.findKey(label), undefined, 'a key was left behind')
  },

  'generateKey: every key is another key': async (bench) => {
    const [one, other] = [await bench.generate(), await bench.generate()]
    assert.notEqual(one.uri, other.uri, 'two keys have the same URI')
    assert.notDeepEqual(one.publicKey, other.publicKey, 'two keys are the same')
  },

  'sign: an algorithm of another family is refused': async (bench) => {
    const key = await bench.generate()
    const { family } = KEY_TYPES[key.keyType]
    const foreign = family === 'rsa' ? 'ecdsa-sha256' : 'rsa-pkcs1-sha256'
    const signing = key.sign(messageOf(10), foreign)
    await rejects(signing, `signing by ${foreign}`, 'signature_algorithm_mismatch')
  },

  'sign: 32 messages at once, by two keys in turn': async (bench) => {
    const keys = [await bench.generate(), await bench.generate()]
    await Promise.all(
      keys.flatMap((key, offset) =>
        Array.from({ length: 16 }, (_, index) =>
          signAndVerify(key, messageOf(500, 2 * index + offset)),
        ),
      ),
    )
  },
}
