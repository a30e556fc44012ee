import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test, vi } from 'vitest'
import {
  CsrBuilder,
  KEY_TYPES,
  parseCsr,
  verifySignature,
  type CsrRequest,
  type KeyType,
  type SignatureAlgorithm,
  type SigningKey,
  type SubjectAttribute,
} from '../../src/index.ts'
import { createSoftwareKey } from '../support/software-key.ts'
import { openssl, temporaryDirectory } from './openssl.ts'

const directory = temporaryDirectory()
afterAll(directory.remove)

const keys = new Map<KeyType, Promise<SigningKey>>()

function keyOf(keyType: KeyType): Promise<SigningKey> {
  const key = keys.get(keyType) ?? createSoftwareKey(keyType)
  keys.set(keyType, key)
  return key
}

/** The request of record. */
const RECORD: CsrRequest = {
  subject: {
    country: 'US',
    state: 'MA',
    locality: 'Boston',
    organization: 'City of Boston',
    organizationalUnit: 'Championship Parade Detail',
    commonName: 'app.example.com',
  },
  sans: ['app.example.com', 'www.example.com', 'blog.example.com', 'example.com'],
}

async function opensslReq(pem: string, ...args: readonly string[]): Promise<string> {
  const file = join(directory.path, `${crypto.randomUUID()}.pem`)
  writeFileSync(file, pem)
  return openssl(['req', '-in', file, '-noout', ...args])
}

const everyAlgorithm = Object.entries(KEY_TYPES).flatMap(([keyType, { signatureAlgorithms }]) =>
  signatureAlgorithms.map((algorithm) => [keyType as KeyType, algorithm] as const),
)

describe('every key type with every algorithm', () => {
  test.each(everyAlgorithm)('%s %s', async (keyType, signatureAlgorithm) => {
    const key = await keyOf(keyType)
    const csr = await new CsrBuilder(RECORD).sign(key, { signatureAlgorithm })
    const text = await opensslReq(csr.pem, '-verify', '-text', '-nameopt', 'RFC2253')
    expect(text).toContain('verify OK')
    const hashBits = /\d+$/.exec(signatureAlgorithm)?.[0] ?? ''
    expect(text).toMatch(
      signatureAlgorithm.startsWith('rsa-pss')
        ? new RegExp(
            `Hash Algorithm: sha${hashBits}\\s+Mask Algorithm: mgf1 with sha${hashBits}\\s+Salt Length: 0x${(Number(hashBits) / 8).toString(16)}`,
            'i',
          )
        : new RegExp(`Signature Algorithm: .*${hashBits || 'ED25519'}`, 'i'),
    )
    expect(csr).toMatchObject({ signatureAlgorithm, convertedNames: [], publicKey: key.publicKey })
    expect((await parseCsr(csr.der)).signature).toMatchObject({
      algorithm: signatureAlgorithm,
      status: 'valid',
    })
  })
})

test.each(Object.entries(KEY_TYPES))('%s signs with its default', async (keyType, facts) => {
  const csr = await new CsrBuilder(RECORD).sign(await keyOf(keyType as KeyType))
  expect(csr.signatureAlgorithm).toBe(facts.signatureAlgorithms[0])
})

test('OpenSSL shows the subject and the names that were asked for', async () => {
  const { pem } = await new CsrBuilder({
    ...RECORD,
    sans: [
      ...(RECORD.sans ?? []),
      '*.example.com',
      { ip: '192.0.2.1' },
      { ip: '2001:db8::ff' },
      { email: 'parade@example.com' },
      { uri: 'https://example.com/parade' },
    ],
  }).sign(await keyOf('p256v1'))
  expect(await opensslReq(pem, '-subject', '-nameopt', 'RFC2253')).toBe(
    'subject=CN=app.example.com,OU=Championship Parade Detail,O=City of Boston,L=Boston,ST=MA,C=US\n',
  )
  const text = await opensslReq(pem, '-text')
  expect(/Alternative Name: \n\s+(.*)\n/.exec(text)?.[1]).toBe(
    'DNS:app.example.com, DNS:www.example.com, DNS:blog.example.com, DNS:example.com, DNS:*.example.com, ' +
      'IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:FF, email:parade@example.com, URI:https://example.com/parade',
  )
})

test('OpenSSL shows every extension and attribute', async () => {
  const { pem } = await new CsrBuilder({
    sans: ['app.example.com', { upn: 'me@example.com' }],
    keyUsage: ['digitalSignature', 'keyEncipherment', 'decipherOnly'],
    extKeyUsage: ['serverAuth', '1.3.6.1.4.1.99999.1'],
    basicConstraints: { ca: true, pathLen: 3 },
    tlsFeature: ['status_request'],
    certificateTemplateName: 'WebServer',
    extensions: [{ oid: '1.2.3.4', critical: true, value: Uint8Array.of(0x0c, 2, 0x68, 0x69) }],
    challengePassword: 'not a secret',
  }).sign(await keyOf('p256v1'))
  const text = await opensslReq(pem, '-text', '-verify')
  for (const expected of [
    'verify OK',
    /Subject: *\n/,
    'challengePassword        :not a secret',
    /Subject Alternative Name: critical\s+DNS:app.example.com, othername: UPN::me@example.com/,
    /Key Usage: critical\s+Digital Signature, Key Encipherment, Decipher Only/,
    /Extended Key Usage: \s+TLS Web Server Authentication, 1.3.6.1.4.1.99999.1/,
    /Basic Constraints: critical\s+CA:TRUE, pathlen:3/,
    /TLS Feature: \s+status_request/,
    /1.3.6.1.4.1.311.20.2: \s+...W.e.b.S.e.r.v.e.r/,
    /1.2.3.4: critical\s+..hi/,
  ]) {
    expect(text).toMatch(expected)
  }
})

test('a subject without alternative names has an empty attributes field', async () => {
  const { der } = await new CsrBuilder({ subject: { commonName: 'a' } }).sign(
    await keyOf('ed25519'),
  )
  expect(Buffer.from(der).toString('hex')).toMatch(
    /^3081[0-9a-f]{2}30[0-9a-f]{2}020100300c310a300806035504030c0161302a300506032b6570032100[0-9a-f]{64}a000300506032b6570034100[0-9a-f]{128}$/,
  )
})

test('the attributes of a multi-valued RDN are sorted as DER demands', async () => {
  const rdn: SubjectAttribute[] = [
    { type: 'organizationalUnit', value: 'b' },
    { type: 'commonName', value: 'a' },
    { oid: '1.2.3', value: 'long enough to come last' },
  ]
  for (const attributes of [rdn, rdn.toReversed()]) {
    const request = { subject: [attributes, [{ type: 'country', value: 'US' } as const]] }
    const { der } = await new CsrBuilder(request).sign(await keyOf('ed25519'))
    const { subject } = await parseCsr(der)
    expect(subject.rdns.map((parsed) => parsed.map(({ oid }) => oid))).toEqual([
      ['2.5.4.3', '2.5.4.11', '1.2.3'],
      ['2.5.4.6'],
    ])
  }
})

test('PEM has lines of 64 columns and a final line end', async () => {
  const { pem, der } = await new CsrBuilder(RECORD).sign(await keyOf('p256v1'))
  const [begin, ...lines] = pem.split('\n')
  expect(begin).toBe('-----BEGIN CERTIFICATE REQUEST-----')
  expect(lines.splice(-2)).toEqual(['-----END CERTIFICATE REQUEST-----', ''])
  expect(Buffer.from(lines.join(''), 'base64').equals(der)).toBe(true)
  expect(lines.slice(0, -1).every((line) => line.length === 64)).toBe(true)
})

describe('international names', () => {
  test('are converted when asked, the common name that repeats one too, and reported', async () => {
    const csr = await new CsrBuilder({
      subject: { organization: 'Bücher', commonName: '*.bücher.example' },
      sans: ['plain.example', '*.bücher.example', { dns: '日本語.jp' }, { email: 'a@Straße.de' }],
      internationalNames: 'convert',
    }).sign(await keyOf('p256v1'))
    expect(csr.convertedNames).toEqual([
      { unicode: '*.bücher.example', ascii: '*.xn--bcher-kva.example', pointer: '/sans/1' },
      { unicode: '日本語.jp', ascii: 'xn--wgv71a119e.jp', pointer: '/sans/2/dns' },
      { unicode: 'a@Straße.de', ascii: 'a@xn--strae-oqa.de', pointer: '/sans/3/email' },
      {
        unicode: '*.bücher.example',
        ascii: '*.xn--bcher-kva.example',
        pointer: '/subject/commonName',
      },
    ])
    const { sans, subject } = await parseCsr(csr.pem)
    expect(sans).toEqual([
      { dns: 'plain.example' },
      { dns: '*.xn--bcher-kva.example' },
      { dns: 'xn--wgv71a119e.jp' },
      { email: 'a@xn--strae-oqa.de' },
    ])
    expect(subject.text).toBe('CN=*.xn--bcher-kva.example,O=Bücher')
  })

  test('given as A-labels are taken as they are', async () => {
    const csr = await new CsrBuilder({ sans: ['XN--BCHER-KVA.example', 'xn--ls8h.la'] }).sign(
      await keyOf('p256v1'),
    )
    expect((await parseCsr(csr.pem)).sans).toEqual([
      { dns: 'XN--BCHER-KVA.example' },
      { dns: 'xn--ls8h.la' },
    ])
  })
})

describe('what a key may do wrong', () => {
  const builder = new CsrBuilder(RECORD)

  test.each<[KeyType, SignatureAlgorithm]>([
    ['p256v1', 'ecdsa-sha384'],
    ['rsa2048', 'rsa-pss-sha256'],
    ['ed25519', 'ed25519'],
  ])('%s: a signature of other bytes is refused', async (keyType, signatureAlgorithm) => {
    const key = await keyOf(keyType)
    const liar: SigningKey = {
      ...key,
      sign: (message, algorithm) => key.sign(message.slice(1), algorithm),
    }
    await expect(builder.sign(liar, { signatureAlgorithm })).rejects.toMatchObject({
      code: 'csr_verification_failed',
    })
  })

  test('a signature that is no DER is refused as well', async () => {
    const liar = { ...(await keyOf('p256v1')), sign: async () => new Uint8Array(64) }
    await expect(builder.sign(liar)).rejects.toMatchObject({ code: 'csr_verification_failed' })
  })

  test('another hash than was asked for is refused', async () => {
    const key = await keyOf('p384')
    const liar: SigningKey = { ...key, sign: (message) => key.sign(message, 'ecdsa-sha256') }
    await expect(builder.sign(liar)).rejects.toMatchObject({ code: 'csr_verification_failed' })
  })

  test('a public key of another type is refused before anything is signed', async () => {
    const sign = vi.fn<SigningKey['sign']>()
    const liar = {
      keyType: 'rsa2048' as const,
      publicKey: (await keyOf('rsa3072')).publicKey,
      sign,
    }
    await expect(builder.sign(liar)).rejects.toMatchObject({
      code: 'key_type_mismatch',
      message: expect.stringMatching(/rsa2048.*rsa3072/) as string,
    })
    expect(sign).not.toHaveBeenCalled()
  })

  test('a point that is not on its curve is refused', async () => {
    const { publicKey, ...key } = await keyOf('p256v1')
    const broken = publicKey.slice()
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1
    await expect(builder.sign({ ...key, publicKey: broken })).rejects.toMatchObject({
      code: 'public_key_invalid',
    })
  })

  test('an algorithm of another family is refused', async () => {
    const key = await keyOf('p256v1')
    await expect(builder.sign(key, { signatureAlgorithm: 'rsa-pss-sha256' })).rejects.toMatchObject(
      { code: 'signature_algorithm_mismatch' },
    )
  })

  test('what the key itself throws comes through', async () => {
    const failure = new Error('the device is gone')
    const key = { ...(await keyOf('p256v1')), sign: () => Promise.reject(failure) }
    await expect(builder.sign(key)).rejects.toBe(failure)
  })
})

test('a public key is imported once for each algorithm, a failed import again', async () => {
  const importKey = vi.spyOn(crypto.subtle, 'importKey')
  try {
    const key = await createSoftwareKey('p256v1')
    const builder = new CsrBuilder(RECORD)
    importKey.mockRejectedValueOnce(new Error('no'))
    await expect(builder.sign(key)).rejects.toMatchObject({ code: 'public_key_invalid' })
    await Promise.all([builder.sign(key), builder.sign(key)])
    await builder.sign(key, { signatureAlgorithm: 'ecdsa-sha512' })
    await builder.sign(key, { signatureAlgorithm: 'ecdsa-sha512' })
    expect(importKey).toHaveBeenCalledTimes(3)
  } finally {
    importKey.mockRestore()
  }
})

test('the abort signal and the algorithm reach the key', async () => {
  const key = await keyOf('p256v1')
  const sign = vi.fn<SigningKey['sign']>((...args) => key.sign(...args))
  const { signal } = new AbortController()
  await new CsrBuilder(RECORD).sign({ ...key, sign }, { signal })
  expect(sign).toHaveBeenCalledExactlyOnceWith(expect.any(Uint8Array), 'ecdsa-sha256', { signal })
})

test('one builder serves many keys at once', async () => {
  const builder = new CsrBuilder(RECORD)
  const types = ['p256v1', 'p384', 'p521', 'ed25519', 'rsa2048'] as const
  const some = await Promise.all(types.map(keyOf))
  const csrs = await Promise.all(
    some.flatMap((key) => [key, key, key]).map((key) => builder.sign(key)),
  )
  for (const [index, csr] of csrs.entries()) {
    const parsed = await parseCsr(csr.pem)
    expect(parsed.signature.status).toBe('valid')
    expect(parsed.publicKey.keyType).toBe(types[Math.floor(index / 3)])
  }
})

test('verifySignature tells a right signature from a wrong one', async () => {
  const key = await keyOf('p521')
  const message = new TextEncoder().encode('message')
  const signature = await key.sign(message)
  expect(await verifySignature(key.publicKey, 'ecdsa-sha512', message, signature)).toBe(true)
  expect(await verifySignature(key.publicKey, 'ecdsa-sha512', message.slice(1), signature)).toBe(
    false,
  )
  await expect(verifySignature(key.publicKey, 'ed25519', message, signature)).rejects.toMatchObject(
    { code: 'signature_algorithm_mismatch' },
  )
})
