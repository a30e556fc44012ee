import assert from 'node:assert/strict'
import { KEY_TYPES } from '../../csr/algorithms.ts'
import { verifySignature } from '../../csr/verify-signature.ts'
import type { BackendKey, KeyBackend } from '../../key/backend.ts'
import { redactUri } from '../../key/uri.ts'
import { collect, notSupported, rejects, type Cases } from './workbench.ts'

const MESSAGE = Uint8Array.of(1, 2, 3)

/** A well-formed key URI of each scheme. */
const FOREIGN = [
  'pkcs11:token=elsewhere;id=%01%02',
  'awskms:key-id=1234abcd-12ab-34cd-56ef-1234567890ab;region=us-east-1',
  'webcrypto:keyring=elsewhere;id=00000000000000000000000000000000-00000000000000000000000000000000',
  'elsewhere:1',
]

async function isSameKey(found: BackendKey | undefined, key: BackendKey): Promise<void> {
  assert.ok(found, 'the key is not found')
  assert.equal(found.uri, key.uri, 'the key has another URI')
  assert.equal(found.keyType, key.keyType, 'the key is of another type')
  assert.deepEqual(new Uint8Array(found.publicKey), new Uint8Array(key.publicKey), 'another SPKI')
  const algorithm = KEY_TYPES[key.keyType].signatureAlgorithms[0]
  const signature = await found.sign(MESSAGE)
  assert.ok(
    await verifySignature(key.publicKey, algorithm, MESSAGE, signature),
    'the key found signs as another',
  )
}

async function listed(backend: KeyBackend, labelPrefix: string): Promise<readonly string[]> {
  return (await collect(backend.listKeys({ labelPrefix }))).map(({ uri }) => uri).toSorted()
}

/** Cases about finding keys again. */
export const lookupCases: Cases = {
  'getKey: by URI, with the public key at hand and without': async ({ backend, ...bench }) => {
    const key = await bench.generate()
    await isSameKey(await backend.getKey(key.uri), key)
    await isSameKey(await backend.getKey(key.uri, { publicKey: key.publicKey }), key)
  },

  'getKey: the URI of a key elsewhere is refused': async ({ backend, ...bench }) => {
    await bench.generate()
    for (const uri of FOREIGN.filter((uri) => !uri.startsWith(`${backend.scheme}:`))) {
      await rejects(backend.getKey(uri), `getKey('${uri}')`, 'key_uri_foreign')
      await rejects(backend.destroyKey(uri), `destroyKey('${uri}')`, 'key_uri_foreign')
    }
  },

  'getKey: what is no key URI is refused': async ({ backend }) => {
    for (const uri of ['', 'nonsense', `${backend.scheme}:`, `${backend.scheme}:?x=%zz`]) {
      await rejects(backend.getKey(uri), `getKey('${uri}')`)
    }
  },

  'findKey: by the whole label only': async (bench) => {
    const label = bench.label()
    const key = await bench.generate({ label: `${label}-1` })
    assert.equal(await bench.backend.findKey(label), undefined, 'findKey takes a prefix')
    assert.equal(await bench.backend.findKey(`${label}-10`), undefined, 'findKey takes too much')
    await isSameKey(await bench.backend.findKey(`${label}-1`), key)
  },

  'listKeys: by prefix, with what is known of each key': async (bench) => {
    const { backend, anyKeyType } = bench
    const prefix = bench.label()
    assert.deepEqual(await listed(backend, prefix), [], 'keys that nobody made')
    const keys = [
      await bench.generate({ label: `${prefix}-a` }),
      await bench.generate({ label: `${prefix}-b` }),
    ]
    const uris = keys.map(({ uri }) => uri)
    assert.deepEqual(await listed(backend, prefix), uris.toSorted())
    assert.deepEqual(await listed(backend, `${prefix}-b`), uris.slice(1))
    const [line] = await collect(backend.listKeys({ labelPrefix: `${prefix}-a` }))
    assert.equal(line?.label, `${prefix}-a`)
    assert.equal(line.keyType, anyKeyType)
    assert.equal(line.state, 'usable')
    assert.ok(line.createdAt === undefined || !Number.isNaN(line.createdAt.getTime()))
    const all = (await collect(backend.listKeys())).map(({ uri }) => uri)
    assert.ok(all.includes(uris[0] ?? ''), 'a listing without a prefix leaves keys out')
  },

  'URIs: the same wherever a key is found, and safe to show': async (bench) => {
    const { backend } = bench
    const label = bench.label()
    const { uri } = await bench.generate({ label })
    assert.ok(uri.startsWith(`${backend.scheme}:`), `the URI ${uri} has another scheme`)
    assert.equal((await backend.getKey(uri)).uri, uri)
    assert.equal((await backend.findKey(label))?.uri, uri)
    assert.deepEqual(await listed(backend, label), [uri])
    for (const shown of [uri, backend.uri]) {
      assert.equal(redactUri(shown), shown, `${redactUri(shown)} contains a secret`)
      assert.doesNotMatch(shown, /[?&;:](pin|secret)-source=/, `${shown} says where a secret is`)
    }
  },

  'keys: still there when the backend is opened again': async (bench) => {
    const { backend, capabilities } = bench
    if (!capabilities.durable) notSupported('keys die with the process here (durable)')
    const label = bench.label()
    const key = await bench.generate({ label })
    const beside = await bench.reopen()
    await isSameKey(await beside.findKey(label), key)
    await backend.close()
    await isSameKey(await beside.getKey(key.uri), key)
    await beside.close()
    const later = await bench.reopen()
    await isSameKey(await later.getKey(key.uri), key)
    assert.equal(later.uri, backend.uri, 'the URI of the backend has changed')
  },
}
