import assert from 'node:assert/strict'
import { KEY_TYPES, KEY_TYPE_NAMES } from '../../csr/algorithms.ts'
import type { CallOptions } from '../../csr/signing-key.ts'
import { verifySignature } from '../../csr/verify-signature.ts'
import type { BackendKey } from '../../key/backend.ts'
import { collect, rejects, type Cases, type Workbench } from './workbench.ts'

const MESSAGE = Uint8Array.of(1, 2, 3)

/** Every call that a backend and a key have, by name. */
function everyCall(
  { backend, anyKeyType }: Workbench,
  key: BackendKey,
  label: string,
  options: CallOptions,
): Readonly<Record<string, () => Promise<unknown>>> {
  return {
    capabilities: () => backend.capabilities(options),
    generateKey: () => backend.generateKey(anyKeyType, { label, ...options }),
    getKey: () => backend.getKey(key.uri, options),
    findKey: () => backend.findKey(label, options),
    listKeys: () => collect(backend.listKeys(options)),
    'key.sign': () => key.sign(MESSAGE, undefined, options),
    'key.attest': () => key.attest(options),
    destroyKey: () => backend.destroyKey(key.uri, options),
  }
}

/** Cases about what the backend says of itself, and about the rules of calling it. */
export const callCases: Cases = {
  'capabilities: known names only, and something to sign each key type by': async (bench) => {
    const { keyTypes, signatureAlgorithms, deletion, durable, uniqueLabels } = bench.capabilities
    for (const keyType of keyTypes) {
      assert.ok(KEY_TYPE_NAMES.includes(keyType), `${keyType} is no key type`)
      const usable = signatureAlgorithms[keyType] ?? []
      assert.ok(usable.length > 0, `no signature algorithm for ${keyType}`)
      for (const algorithm of usable) {
        const known = KEY_TYPES[keyType].signatureAlgorithms.includes(algorithm)
        assert.ok(known, `${algorithm} is no algorithm for ${keyType}`)
      }
    }
    assert.deepEqual(Object.keys(signatureAlgorithms).toSorted(), keyTypes.toSorted(), 'keyTypes')
    assert.ok(['immediate', 'scheduled'].includes(deletion), 'deletion')
    assert.equal(typeof durable, 'boolean', 'durable')
    assert.equal(typeof uniqueLabels, 'boolean', 'uniqueLabels')
  },

  'attest: a level, plain claims, and evidence where the maker vouches': async (bench) => {
    const key = await bench.generate()
    const { level, backend, claims, concerns, evidence, observedAt } = await key.attest()
    assert.ok(['software', 'claimed-by-token', 'vendor-attested'].includes(level), 'level')
    assert.equal(backend, bench.backend.scheme, 'backend')
    for (const [name, claim] of Object.entries(claims)) {
      assert.ok(claim === null || typeof claim !== 'object', `the claim ${name} is no plain value`)
    }
    assert.ok(
      concerns.every((concern) => typeof concern === 'string'),
      'concerns',
    )
    assert.equal(evidence !== undefined, level === 'vendor-attested', 'evidence')
    assert.ok(!Number.isNaN(observedAt.getTime()), 'observedAt')
  },

  'signals: a call that is aborted already rejects with the reason, and does nothing': async (
    bench,
  ) => {
    const key = await bench.generate()
    const label = bench.label()
    const reason = new Error('the caller has gone')
    const signal = AbortSignal.abort(reason)
    for (const [name, call] of Object.entries(everyCall(bench, key, label, { signal }))) {
      const outcome = await call().then(
        () => 'an answer',
        (error: unknown) => error,
      )
      assert.equal(outcome, reason, `${name}: the reason was expected, not ${String(outcome)}`)
    }
    assert.equal(await bench.backend.findKey(label), undefined, 'generateKey has made a key')
    await key.sign(MESSAGE)
  },

  'close: every call afterwards says backend_closed': async (bench) => {
    const key = await bench.generate()
    await bench.backend.close()
    for (const [name, call] of Object.entries(everyCall(bench, key, bench.label(), {}))) {
      await rejects(call(), `${name} after close`, 'backend_closed')
    }
  },

  'close: twice, and by await using': async (bench) => {
    await bench.backend.close()
    await bench.backend.close()
    await bench.backend[Symbol.asyncDispose]()
    const beside = await bench.reopen()
    await beside[Symbol.asyncDispose]()
    await rejects(beside.findKey(bench.label()), 'findKey after disposal', 'backend_closed')
  },

  'close: waits for what is under way': async (bench) => {
    const key = await bench.generate()
    const algorithm = KEY_TYPES[key.keyType].signatureAlgorithms[0]
    const calls = 32
    let signed = 0
    const signing = Array.from({ length: calls }, async () => {
      const signature = await key.sign(MESSAGE)
      signed++
      assert.ok(
        await verifySignature(key.publicKey, algorithm, MESSAGE, signature),
        'the signature is wrong',
      )
    })
    await bench.backend.close()
    // Answers may be on their way through promises still, but not on that from a device.
    for (let turn = 0; turn < 10; turn++) await Promise.resolve()
    assert.equal(signed, calls, `close answered when ${signed} of ${calls} signatures were made`)
    await Promise.all(signing)
  },

  'close: another opening of the same backend goes on': async (bench) => {
    const beside = await bench.reopen()
    await bench.backend.close()
    const label = bench.label()
    const key = bench.adopt(await beside.generateKey(bench.anyKeyType, { label }))
    await key.sign(MESSAGE)
    await beside.destroyKey(key.uri)
  },
}
