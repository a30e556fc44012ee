import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWebCryptoBackend } from '../../../backends/webcrypto/index.ts'
import { keyBackendContract, registerContract } from '../../../src/testing/contract/index.ts'

describe('in memory', () => {
  registerContract(
    test,
    keyBackendContract(() => openWebCryptoBackend('webcrypto:')),
  )
})

describe('on disk', () => {
  const secret = randomBytes(32)
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(`${tmpdir()}/keystay-contract-`)
  })
  afterAll(async () => {
    await rm(directory, { recursive: true })
  })

  registerContract(
    test,
    keyBackendContract(() => openWebCryptoBackend(`webcrypto:${directory}`, { secret })),
  )

  test('no key is left behind', async () => {
    await using backend = await openWebCryptoBackend(`webcrypto:${directory}`, { secret })
    for await (const { label } of backend.listKeys()) expect.fail(`${String(label)} is left`)
  })
})
