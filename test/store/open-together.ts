// Opens the store named on the command line when the clock says so, and creates a CSR in it.
import { setTimeout as wait } from 'node:timers/promises'
import { openStore } from '../../src/store/index.ts'
import { create } from '../../src/testing/store-contract/workbench.ts'

const [uri = '', start = '0'] = process.argv.slice(2)
await wait(Math.max(0, Number(start) - Date.now()))
await using store = await openStore(uri)
await create(store, { kind: 'zone', id: 'together' })
