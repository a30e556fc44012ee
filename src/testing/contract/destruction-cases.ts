import assert from 'node:assert/strict'
import type { BackendKey, KeyBackend } from '../../key/backend.ts'
import { collect, rejects, type Cases } from './workbench.ts'

const MESSAGE = Uint8Array.of(1, 2, 3)

/** Finds the key anew, as a stored URI would, and signs. */
async function signAnew(backend: KeyBackend, key: BackendKey): Promise<void> {
  const found = await backend.getKey(key.uri, { publicKey: key.publicKey })
  await found.sign(MESSAGE)
}

/** Cases about the end of keys. */
export const destructionCases: Cases = {
  'destroyKey: the key is gone, or will be at the date it says': async (bench) => {
    const { backend, capabilities } = bench
    const label = bench.label()
    const key = await bench.generate({ label })
    const destruction = await backend.destroyKey(key.uri)
    if (capabilities.deletion === 'immediate') {
      assert.deepEqual(destruction, { state: 'destroyed' })
      await rejects(backend.getKey(key.uri), 'getKey of a destroyed key', 'key_not_found')
      assert.equal(await backend.findKey(label), undefined, 'findKey still finds the key')
    } else {
      assert.equal(destruction.state, 'scheduled', 'capabilities().deletion says scheduled')
      assert.ok(destruction.at.getTime() > Date.now(), 'the date is in the past')
    }
    const lines = await collect(backend.listKeys({ labelPrefix: label }))
    const expected = capabilities.deletion === 'immediate' ? [] : ['scheduled']
    assert.deepEqual(
      lines.map(({ state }) => state),
      expected,
      'the listing says otherwise',
    )
  },

  'destroyKey: nobody signs with the key any more': async (bench) => {
    const { backend } = bench
    const key = await bench.generate()
    await key.sign(MESSAGE)
    await backend.destroyKey(key.uri)
    await rejects(key.sign(MESSAGE), 'signing by the handle that was there before')
    await rejects(signAnew(backend, key), 'signing by a new handle')
  },

  'destroyKey: other keys are not touched': async (bench) => {
    const label = bench.label()
    const doomed = await bench.generate({ label })
    const spared = await bench.generate({ label: `${label}-spared` })
    await bench.backend.destroyKey(doomed.uri)
    await spared.sign(MESSAGE)
    await signAnew(bench.backend, spared)
  },

  'destroyKey: again, says key_not_found or the same date': async (bench) => {
    const { backend, capabilities } = bench
    const { uri } = await bench.generate()
    const first = await backend.destroyKey(uri)
    if (capabilities.deletion === 'immediate') {
      await rejects(backend.destroyKey(uri), 'destroying again', 'key_not_found')
    } else {
      assert.deepEqual(await backend.destroyKey(uri), first)
    }
  },
}
