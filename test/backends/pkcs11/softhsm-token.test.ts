import { access, readFile, stat } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { openPkcs11Backend } from '../../../backends/pkcs11/index.ts'
import { createSoftHsmToken } from '../../../src/testing/softhsm.ts'
import { expectCode, pkcs11Tool } from './helpers.ts'

test('a token is ready to be opened, shows no PIN, and leaves nothing behind', async () => {
  const token = await createSoftHsmToken({ label: 'ready' })
  expect(token.uri).not.toContain(await readFile(token.pinFile, 'utf8'))
  expect((await stat(token.pinFile)).mode & 0o777).toBe(0o600)
  expect(process.env['SOFTHSM2_CONF']).toBe(token.confPath)
  const backend = await openPkcs11Backend(token.uri)
  await backend.generateKey('p256v1', { label: 'one' })
  await backend.close()
  expect(await pkcs11Tool(token, '--list-objects')).toContain('one')
  await token.dispose()
  await token.dispose()
  await expect(access(token.directory)).rejects.toThrow('ENOENT')
})

test('tokens made after the library was initialised are seen as well', async () => {
  await using first = await createSoftHsmToken()
  await using second = await createSoftHsmToken({ label: 'later' })
  expect(second.directory).toBe(first.directory)
  await using backend = await openPkcs11Backend(second.uri)
  await backend.generateKey('p256v1', { label: 'one' })
  expect(await pkcs11Tool(second, '--list-objects')).toContain('one')
})

test('a library that is not there is named, with what to install', async () => {
  const error = await expectCode(
    createSoftHsmToken({ modulePath: '/absent/libsofthsm2.so' }),
    'softhsm_missing',
  )
  expect(error.message).toContain('apt install softhsm2')
})
