// A process of its own that generates keys: generate-keys.ts URI LABEL…
// Prints what became of each label, as soon as the keyring has answered.
import { openWebCryptoBackend } from '../../../backends/webcrypto/index.ts'
import { KeystayError } from '../../../src/errors.ts'

const [uri = '', ...labels] = process.argv.slice(2)
const backend = await openWebCryptoBackend(uri)
process.stdout.write('open\n')
async function work(): Promise<void> {
  for (let label = labels.shift(); label !== undefined; label = labels.shift()) {
    const answer = await backend.generateKey('p256v1', { label }).then(
      (key) => key.uri,
      (error: unknown) => (error instanceof KeystayError ? error.code : String(error)),
    )
    process.stdout.write(`${label} ${answer}\n`)
  }
}
// Several at a time, so that something is always being written.
await Promise.all([work(), work(), work(), work()])
await backend.close()
