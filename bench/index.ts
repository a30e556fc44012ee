// npm run bench [-- NAME…] [-- --quick]: prints what it has measured in this run, and nothing else.
import { cpus } from 'node:os'
import { benchEncoding } from './encoding.ts'

import { benchPkcs11 } from './pkcs11.ts'
import { benchWebCrypto } from './webcrypto.ts'

const BENCHES = { encoding: benchEncoding, webcrypto: benchWebCrypto, pkcs11: benchPkcs11 }

const names = process.argv.slice(2).filter((argument) => argument !== '--quick')
const quick = process.argv.includes('--quick')
const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name))
if (unknown.length > 0) {
  console.error(
    `bench: ${unknown.join(', ')} not known; there are ${Object.keys(BENCHES).join(', ')}`,
  )
  process.exit(2)
}

const processors = cpus()
console.log(
  `Node ${process.version}, ${processors.length} × ${processors[0]?.model ?? 'processor'}`,
)
console.log('Medians of interleaved rounds (fastest – slowest round); ratios to the first row.')
for (const [name, bench] of Object.entries(BENCHES)) {
  if (names.length === 0 || names.includes(name)) await bench({ rounds: quick ? 3 : 11 })
}
