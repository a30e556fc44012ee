// Run by contract.test.ts: the same suite under Node's own test runner.
import { test } from 'node:test'
import { openWebCryptoBackend } from '../../backends/webcrypto/index.ts'
import { keyBackendContract, registerContract } from '../../src/testing/index.ts'

registerContract(
  test,
  keyBackendContract(() => openWebCryptoBackend('webcrypto:')),
)
