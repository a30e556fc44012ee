import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DiagnosableBackend, KeyListing } from '../../../src/key/backend.ts'
import { startKmsEmulator, type KmsEmulator } from '../../../src/testing/kms-emulator/index.ts'
import { callKms, failureOf, openOn } from './support.ts'

const message = Uint8Array.of(1, 2, 3)

let emulator: KmsEmulator
let backend: DiagnosableBackend

beforeAll(async () => {
  emulator = await startKmsEmulator({ pageSize: 3 })
  backend = await openOn(emulator)
})

afterAll(async () => {
  await backend.close()
  await emulator.close()
})

function generate(label: string) {
  return backend.generateKey('p256v1', { label })
}

async function list(labelPrefix?: string): Promise<KeyListing[]> {
  const listings: KeyListing[] = []
  for await (const listing of backend.listKeys({ labelPrefix })) listings.push(listing)
  return listings
}

describe('getKey', () => {
  test('takes a key id, an ARN, an alias and an alias ARN, and names the key by its ARN', async () => {
    const key = await generate('get:names')
    const arn = /key-id=(.+);region/.exec(key.uri)?.[1] ?? ''
    const id = arn.split('/')[1] ?? ''
    await callKms(emulator, 'CreateAlias', { AliasName: 'alias/Prod/Edge', TargetKeyId: id })
    expect(key.uri).toBe(`awskms:key-id=${arn};region=us-east-1`)
    for (const name of [id, arn, 'alias/Prod/Edge', arn.replace(/key\/.+/, 'alias/Prod/Edge')]) {
      for (const region of ['', ';region=us-east-1']) {
        const found = await backend.getKey(`awskms:key-id=${name}${region}`)
        expect(found).toMatchObject({ uri: key.uri, label: 'get:names', publicKey: key.publicKey })
        await found.sign(message)
      }
    }
    await callKms(emulator, 'DeleteAlias', { AliasName: 'alias/Prod/Edge' })
  })

  test('keeps the case of an alias', async () => {
    const { code } = await failureOf(backend.getKey('awskms:key-id=alias/prod/edge'))
    expect(code).toBe('key_not_found')
  })

  test('finds that an alias has been pointed at another key', async () => {
    const one = await generate('get:one')
    const other = await generate('get:other')
    const id = /key\/([^;]+)/.exec(other.uri)?.[1]
    await callKms(emulator, 'CreateAlias', { AliasName: 'alias/moved', TargetKeyId: id })
    const uri = 'awskms:key-id=alias/moved'
    const { code } = await failureOf(backend.getKey(uri, { publicKey: one.publicKey }))
    expect(code).toBe('kms_public_key_mismatch')
    expect((await backend.getKey(uri, { publicKey: other.publicKey })).uri).toBe(other.uri)
    await callKms(emulator, 'DeleteAlias', { AliasName: 'alias/moved' })
  })

  test.each([
    ['pkcs11:token=a;object=b', 'key_uri_foreign'],
    ['awskms:key-id=alias/a;region=eu-west-1', 'key_uri_foreign'],
    ['awskms:key-id=arn:aws:kms:eu-west-1:111122223333:key/a', 'key_uri_foreign'],
    [
      'awskms:key-id=arn:aws:kms:eu-west-1:111122223333:key/a;region=us-east-1',
      'kms_region_mismatch',
    ],
    ['awskms:key-id=00000000-0000-4000-8000-000000000000', 'key_not_found'],
    ['awskms:', 'uri_invalid'],
    ['awskms:key-id=', 'uri_invalid'],
    ['awskms:key-id=a%00b', 'uri_invalid'],
    ['awskms:key-id=arn:aws:s3:::bucket', 'uri_invalid'],
    ['awskms:key-id=alias/', 'uri_invalid'],
    ['awskms:key-id=a;region=US East', 'uri_invalid'],
    ['awskms:key-id=a?region=us-east-1', 'uri_invalid'],
    ['awskms:key-id=a;endpoint=http://127.0.0.1', 'uri_attribute_unknown'],
    ['awskms:key-id=a;key-id=b', 'uri_attribute_repeated'],
  ])('%s: %s', async (uri, code) => {
    expect((await failureOf(backend.getKey(uri))).code).toBe(code)
  })

  test.each([
    [{ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' }, 'its usage is ENCRYPT_DECRYPT'],
    [{ KeySpec: 'ECC_SECG_P256K1', KeyUsage: 'SIGN_VERIFY' }, 'its spec is ECC_SECG_P256K1'],
    [{}, 'usage is SIGN_VERIFY'],
  ])('refuses a key that cannot sign requests: %o', async (input, why) => {
    const { KeyMetadata } = await callKms(emulator, 'CreateKey', input)
    const { KeyId } = KeyMetadata as { KeyId: string }
    const { code, message } = await failureOf(backend.getKey(`awskms:key-id=${KeyId}`))
    expect(code).toBe('kms_key_unsuitable')
    expect(message).toContain(why)
  })

  test('does without the label where tags may not be read', async () => {
    const key = await generate('get:untold')
    emulator.inject('ListResourceTags', { kind: 'error', name: 'AccessDeniedException' })
    expect(await backend.getKey(key.uri)).toMatchObject({ label: undefined, uri: key.uri })
  })
})

describe('listings', () => {
  test('show keys of ours over all pages, with their states', async () => {
    const keys = []
    for (let index = 0; index < 7; index++) keys.push(await generate(`list:${index}`))
    const [first, second] = keys
    await callKms(emulator, 'CreateKey', { Description: 'list:not-ours' })
    await callKms(emulator, 'DisableKey', { KeyId: /key\/([^;]+)/.exec(first?.uri ?? '')?.[1] })
    await backend.destroyKey(second?.uri ?? '')
    const listings = await list('list:')
    expect(listings.map(({ uri }) => uri).toSorted()).toEqual(keys.map(({ uri }) => uri).toSorted())
    const states = new Map(listings.map(({ label, state }) => [label, state]))
    expect(states.get('list:0')).toBe('disabled')
    expect(states.get('list:1')).toBe('scheduled')
    expect(states.get('list:2')).toBe('usable')
    expect(listings[0]).toMatchObject({ keyType: 'p256v1', createdAt: expect.any(Date) as Date })
    expect((await list()).length).toBeGreaterThan(listings.length)
    expect(emulator.calls().ListKeys).toBeGreaterThan(2)
  })

  test('come page by page', async () => {
    emulator.resetCalls()
    const listings = backend.listKeys()[Symbol.asyncIterator]()
    expect((await listings.next()).done).toBe(false)
    const { ListKeys, ListResourceTags } = emulator.calls()
    expect(ListKeys).toBeLessThanOrEqual(2)
    expect(ListResourceTags).toBeLessThanOrEqual(6)
  })

  test('leave out keys whose tags may not be read, unless that is all of them', async () => {
    const before = (await list()).length
    emulator.inject('ListResourceTags', { kind: 'error', name: 'AccessDeniedException' })
    expect((await list()).length).toBeGreaterThanOrEqual(before - 1)
    emulator.inject('ListResourceTags', { kind: 'error', name: 'AccessDeniedException' }, 1000)
    const failure = await failureOf(list())
    emulator.clearFaults()
    expect(failure).toMatchObject({
      code: 'kms_access_denied',
      message: expect.stringContaining('kms:ListResourceTags') as string,
    })
  })
})

describe('findKey', () => {
  test('finds a key by its label, on whatever page it is', async () => {
    const key = await generate('find:me')
    expect(await backend.findKey('find:me')).toMatchObject({ uri: key.uri, label: 'find:me' })
    expect(await backend.findKey('find:')).toBeUndefined()
  })

  test('passes over keys that wait for their destruction', async () => {
    const key = await generate('find:again')
    await backend.destroyKey(key.uri)
    expect(await backend.findKey('find:again')).toBeUndefined()
    const next = await generate('find:again')
    expect((await backend.findKey('find:again'))?.uri).toBe(next.uri)
  })

  test('does not choose between two', async () => {
    const one = await generate('find:twice')
    const other = await generate('find:twice')
    const failure = await failureOf(backend.findKey('find:twice'))
    expect(failure.code).toBe('key_ambiguous')
    for (const { uri } of [one, other]) {
      expect(failure.message).toContain(/key-id=([^;]+)/.exec(uri)?.[1])
    }
    expect((await backend.capabilities()).uniqueLabels).toBe(false)
  })
})

describe('destroyKey', () => {
  test('schedules, and says for when; a second time the same', async () => {
    const key = await generate('destroy:twice')
    const before = Date.now()
    const destruction = await backend.destroyKey(key.uri)
    if (destruction.state !== 'scheduled') throw new Error('it is not scheduled')
    const days = (destruction.at.getTime() - before) / 86_400_000
    expect(days).toBeCloseTo(30, 3)
    expect(await backend.destroyKey(key.uri)).toEqual(destruction)
    expect((await failureOf(key.sign(message))).code).toBe('kms_key_pending_deletion')
    const failure = await failureOf(backend.getKey(key.uri))
    expect(failure.code).toBe('kms_key_pending_deletion')
    expect(failure.message).toContain(destruction.at.toISOString())
    expect(failure.message).toContain('CancelKeyDeletion')
  })

  test('waits as long as the option or the URI says', async () => {
    for (const [options, suffix, expected] of [
      [{ pendingWindowInDays: 7 }, '', 7],
      [{}, ';deletion-window-days=14', 14],
      [{ pendingWindowInDays: 9 }, ';deletion-window-days=14', 9],
    ] as const) {
      const other = await openOn({ ...emulator, uri: emulator.uri + suffix }, options)
      const key = await other.generateKey('p256v1', { label: 'destroy:window' })
      const destruction = await other.destroyKey(key.uri)
      const at = destruction.state === 'scheduled' ? destruction.at.getTime() : 0
      expect((at - Date.now()) / 86_400_000).toBeCloseTo(expected, 2)
      await other.close()
    }
  })

  test('does not destroy what an alias points at', async () => {
    const { code } = await failureOf(backend.destroyKey('awskms:key-id=alias/prod'))
    expect(code).toBe('kms_alias_refused')
  })

  test('names a key that is not there', async () => {
    const uri = 'awskms:key-id=00000000-0000-4000-8000-000000000000'
    expect((await failureOf(backend.destroyKey(uri))).code).toBe('key_not_found')
  })
})
