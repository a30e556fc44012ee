import assert from 'node:assert/strict'
import { collect, notSupported, rejects, type Cases } from './workbench.ts'

const INVALID = ['', 'a'.repeat(65), 'two words', 'line\nend', 'Straße', 'a;b', 'a%20b', 'a\0b']
const PUNCTUATION = '._:/=+@-'

/** Cases about labels: by them a key is found again after a crash. */
export const labelCases: Cases = {
  'labels: those that some device could not hold are refused': async ({ backend, anyKeyType }) => {
    for (const label of INVALID) {
      const what = `generating a key with the label ${JSON.stringify(label)}`
      await rejects(backend.generateKey(anyKeyType, { label }), what, 'label_invalid')
    }
  },

  'labels: 64 characters, every permitted punctuation, upper and lower case': async (bench) => {
    const label = bench.label().slice(0, 40)
    const full = `${label}${PUNCTUATION}Aa${'z'.repeat(64)}`.slice(0, 64)
    const key = await bench.generate({ label: full })
    assert.equal((await bench.backend.findKey(full))?.uri, key.uri, 'findKey finds another key')
    const swapped = full.replace('Aa', 'aA')
    assert.equal(await bench.backend.findKey(swapped), undefined, 'labels that differ in case')
    const listed = await collect(bench.backend.listKeys({ labelPrefix: full }))
    assert.deepEqual(
      listed.map((line) => [line.uri, line.label]),
      [[key.uri, full]],
      'the listing says otherwise',
    )
  },

  'labels: one that is taken is refused, and the key that has it stays': async (bench) => {
    const { backend, capabilities, anyKeyType } = bench
    if (!capabilities.uniqueLabels) notSupported('labels are not unique here (uniqueLabels)')
    const first = await bench.generate()
    const label = first.label ?? ''
    await rejects(backend.generateKey(anyKeyType, { label }), 'a second key', 'label_taken')
    const found = await backend.findKey(label)
    assert.equal(found?.uri, first.uri, 'the label now leads to another key')
    await first.sign(Uint8Array.of(1))
  },

  'labels: of several keys asked for at once with one label, one is made': async (bench) => {
    const { backend, capabilities, anyKeyType } = bench
    if (!capabilities.uniqueLabels) notSupported('labels are not unique here (uniqueLabels)')
    const label = bench.label()
    const attempts = await Promise.allSettled(
      Array.from({ length: 4 }, async () =>
        bench.adopt(await backend.generateKey(anyKeyType, { label })),
      ),
    )
    const refused = attempts.filter((attempt) => attempt.status === 'rejected')
    for (const { reason } of refused) {
      await rejects(Promise.reject(reason as Error), 'a further key', 'label_taken')
    }
    assert.equal(refused.length, 3, `${4 - refused.length} keys were made`)
    assert.equal((await collect(backend.listKeys({ labelPrefix: label }))).length, 1)
  },

  'labels: that of a destroyed key can be used again': async (bench) => {
    const { backend, capabilities } = bench
    if (capabilities.deletion !== 'immediate') notSupported('deletion is only scheduled here')
    const label = bench.label()
    const first = await bench.generate({ label })
    await backend.destroyKey(first.uri)
    const second = await bench.generate({ label })
    assert.notEqual(second.uri, first.uri, 'the new key has the URI of the destroyed one')
    await rejects(backend.getKey(first.uri), 'the destroyed key', 'key_not_found')
    await rejects(backend.destroyKey(first.uri), 'destroying it again', 'key_not_found')
    assert.equal((await backend.findKey(label))?.uri, second.uri)
  },
}
