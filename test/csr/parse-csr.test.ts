import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CsrBuilder, KeystayError, parseCsr, type ErrorCode } from '../../src/index.ts'
import { decodeBase64 } from '../../src/csr/pem.ts'
import { createSoftwareKey } from '../support/software-key.ts'
import { temporaryDirectory } from './openssl.ts'

const directory = temporaryDirectory()
afterAll(directory.remove)

let pem: string
let der: Uint8Array

beforeAll(async () => {
  const request = { subject: { commonName: 'app.example.com' }, sans: ['app.example.com'] }
  ;({ pem, der } = await new CsrBuilder(request).sign(await createSoftwareKey('p256v1')))
})

/** A request made by OpenSSL, and the files of its key. */
function opensslRequest(key: readonly string[], ...args: readonly string[]): string {
  const at = { cwd: directory.path, stdio: 'ignore' } as const
  execFileSync('openssl', [...key, '-out', 'key.pem'], at)
  const request = ['req', '-new', '-key', 'key.pem', '-out', 'csr.pem']
  execFileSync('openssl', [...request, ...(args.length > 0 ? args : ['-subj', '/CN=a'])], at)
  return readFileSync(join(directory.path, 'csr.pem'), 'utf8')
}

async function failure(input: string | Uint8Array): Promise<KeystayError> {
  const error: unknown = await parseCsr(input).catch((reason: unknown) => reason)
  if (error instanceof KeystayError) return error
  throw new Error('it was parsed', { cause: error })
}

describe('one request in any form', () => {
  const body = (): string => pem.split('\n').slice(1, -2).join('')
  const forms: readonly (readonly [string, () => string | Uint8Array])[] = [
    ['PEM', () => pem],
    ['DER', () => der],
    ['PEM as bytes', () => Buffer.from(pem)],
    ['PEM in UTF-16, as Windows writes it', () => Buffer.from(`\ufeff${pem}`, 'utf16le')],
    ['PEM behind a byte order mark', () => Buffer.from(`\ufeff${pem}`)],
    ['CRLF', () => pem.replaceAll('\n', '\r\n')],
    ['CR', () => pem.replaceAll('\n', '\r')],
    ['no final line end', () => pem.trimEnd()],
    ['text around it', () => `Certificate Request:\n    Data:\n${pem}\nthanks -- Bob`],
    ['the old header', () => pem.replaceAll('CERTIFICATE', 'NEW CERTIFICATE')],
    ['a certificate beside it', () => `${pem.replaceAll(' REQUEST', '')}${pem}`],
    ['base64 alone', () => body()],
    ['base64 in lines with blanks', () => `  ${body().replace(/.{70}/g, '$&\r\n\t')}\n`],
    ['PEM in one line', () => pem.replaceAll('\n', ' ')],
  ]
  test.each(forms)('%s', async (_, form) => {
    const parsed = await parseCsr(form())
    expect(Buffer.from(parsed.der).equals(der)).toBe(true)
    expect(parsed.signature.status).toBe('valid')
    expect(parsed.oddities).toEqual([])
    expect(parsed.version).toBe(1)
  })
})

describe('what is no request', () => {
  const edited = (edit: (bytes: Uint8Array) => void): Uint8Array => {
    const copy = der.slice()
    edit(copy)
    return copy
  }
  const cases: readonly (readonly [string, () => string | Uint8Array, ErrorCode, string])[] = [
    ['nothing', () => '', 'csr_empty', 'expected'],
    ['blanks', () => ' \r\n', 'csr_empty', 'expected'],
    ['no bytes', () => new Uint8Array(), 'csr_empty', 'expected'],
    ['prose', () => 'please sign this', 'csr_not_found', 'PEM'],
    ['a picture', () => Uint8Array.of(0x89, 0x50, 0x4e, 0x47), 'csr_not_found', 'DER'],
    ['far too much', () => 'A'.repeat(300_000), 'csr_too_large', '262144'],
    ['two requests', () => pem + pem, 'csr_several', 'one at a time'],
    ['a certificate', () => pem.replaceAll(' REQUEST', ''), 'csr_pem_type', 'CERTIFICATE REQUEST'],
    [
      'a public key',
      () => '-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----',
      'csr_pem_type',
      'PUBLIC KEY',
    ],
    ['no end', () => pem.slice(0, -40), 'pem_invalid', 'does not end'],
    ['nothing behind', () => pem.slice(0, 200), 'pem_invalid', 'does not end'],
    [
      'another end',
      () => pem.replace('END CERTIFICATE', 'END NEW CERTIFICATE'),
      'pem_invalid',
      'must end',
    ],
    ['a letter lost', () => pem.replace(/\n.{1}/, '\n'), 'csr_base64_invalid', 'cut off'],
    ['a star', () => pem.replace(/\n./, '\n*'), 'csr_base64_invalid', 'base64'],
    [
      'a header inside',
      () => pem.replace('-----\n', '-----\nProc-Type: 4,CLEAR\n\n'),
      'csr_base64_invalid',
      'base64',
    ],
    ['bytes behind it', () => Uint8Array.of(...der, 0), 'der_invalid', 'follow'],
    ['bytes cut off', () => der.slice(0, -1), 'der_invalid', 'cut off'],
    [
      'an indefinite length',
      () => edited((bytes) => (bytes[1] = 0x80)),
      'der_invalid',
      'indefinite',
    ],
    ['base64 of nothing useful', () => 'AAAA', 'der_invalid', 'DER'],
    [
      'a sequence',
      () => Uint8Array.of(0x30, 0x81, 0x80, ...[0x30, 0x7e], ...new Uint8Array(126)),
      'csr_malformed',
      'signature',
    ],
  ]
  test.each(cases)('%s', async (_, form, code, says) => {
    const error = await failure(form())
    expect(error.code).toBe(code)
    expect(error.message).toContain(says)
  })

  test('something that is neither text nor bytes', async () => {
    await expect(parseCsr(7 as never)).rejects.toBeInstanceOf(TypeError)
  })

  test('the DER of a certificate', async () => {
    opensslRequest(
      ['ecparam', '-name', 'prime256v1', '-genkey', '-noout'],
      '-x509',
      '-subj',
      '/CN=a',
    )
    const text = readFileSync(join(directory.path, 'csr.pem'), 'utf8')
    const certificate = decodeBase64(text.replace(/-----.*-----/g, '')) ?? new Uint8Array()
    expect((await failure(certificate)).code).toBe('csr_is_certificate')
  })
})

describe('a private key is refused, and not shown', () => {
  let key: string
  beforeAll(() => {
    opensslRequest(['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'])
    key = readFileSync(join(directory.path, 'key.pem'), 'utf8')
  })
  const forms: readonly (readonly [string, () => string | Uint8Array])[] = [
    ['alone', () => key],
    ['beside the request', () => pem + key],
    ['cut off', () => pem + key.slice(0, 100)],
    ['of another kind', () => pem + key.replaceAll('PRIVATE', 'RSA PRIVATE')],
    ['encrypted', () => pem + key.replaceAll('PRIVATE', 'ENCRYPTED PRIVATE')],
    ['as bytes', () => Buffer.from(key)],
    ['as base64', () => key.replace(/-----.*-----/g, '')],
    ['as DER', () => decodeBase64(key.replace(/-----.*-----/g, '')) ?? ''],
  ]
  test.each(forms)('%s', async (_, form) => {
    const error = await failure(form())
    expect(error.code).toBe('csr_private_key')
    expect(error.message).not.toContain(key.split('\n')[1]?.slice(0, 10))
  })
})

describe('requests of OpenSSL with other keys and signatures are shown', () => {
  const ec = (curve: string, ...more: readonly string[]): readonly string[] => [
    ...['ecparam', '-name', curve, '-genkey', '-noout', ...more],
  ]
  const rsa = ['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']
  const pss = ['-sigopt', 'rsa_padding_mode:pss', '-subj', '/CN=a']

  test.each([
    ['secp256k1', ec('secp256k1'), 'secp256k1', 'ecdsa-sha256'],
    ['brainpool', ec('brainpoolP256r1'), 'brainpoolP256r1', 'ecdsa-sha256'],
    ['an explicit curve', ec('prime256v1', '-param_enc', 'explicit'), undefined, 'ecdsa-sha256'],
    ['Ed448', ['genpkey', '-algorithm', 'ed448'], undefined, 'Ed448'],
  ])('%s', async (_, key, curveName, algorithm) => {
    const { publicKey, signature, subject } = await parseCsr(opensslRequest(key))
    expect(publicKey.curveName).toBe(curveName)
    expect(publicKey.keyType).toBeUndefined()
    expect(signature).toMatchObject({ algorithm, status: 'unsupported' })
    expect(signature.reason).toMatch(/not/)
    expect(subject.text).toBe('CN=a')
  })

  test('RSA with SHA-1, as weak', async () => {
    const parsed = await parseCsr(opensslRequest(rsa, '-sha1', '-subj', '/CN=a'))
    expect(parsed.signature).toMatchObject({
      algorithm: 'sha1WithRSAEncryption',
      status: 'unsupported',
    })
    expect(parsed.oddities.map(({ code }) => code)).toEqual(['weak_signature'])
  })

  test('RSA of 1,024 bits is verified', async () => {
    const key = rsa.with(-1, 'rsa_keygen_bits:1024')
    const { publicKey, signature } = await parseCsr(opensslRequest(key))
    expect(publicKey).toMatchObject({ bits: 1024, family: 'rsa' })
    expect(publicKey.keyType).toBeUndefined()
    expect(signature.status).toBe('valid')
  })

  test.each([
    ['32', 'rsa-pss-sha256'],
    ['20', 'rsa-pss-sha256'],
    ['0', 'rsa-pss-sha256'],
    // The default of OpenSSL and of TPMs: as long as fits.
    ['222', 'rsa-pss-sha256'],
  ])('PSS with a salt of %s bytes is verified', async (salt, algorithm) => {
    const text = opensslRequest(rsa, ...pss, '-sigopt', `rsa_pss_saltlen:${salt}`)
    expect((await parseCsr(text)).signature).toMatchObject({ algorithm, status: 'valid' })
  })

  test('PSS with two different hashes is not verified', async () => {
    const text = opensslRequest(rsa, ...pss, '-sigopt', 'rsa_mgf1_md:sha512')
    const { signature } = await parseCsr(text)
    expect(signature).toMatchObject({ algorithm: 'rsassaPss', status: 'unsupported' })
  })

  test('a key that may only do PSS', async () => {
    const key = ['genpkey', '-algorithm', 'RSA-PSS', '-pkeyopt', 'rsa_keygen_bits:2048']
    const { publicKey, signature } = await parseCsr(opensslRequest(key))
    expect(publicKey).toMatchObject({ algorithmName: 'rsassaPss', family: 'unknown' })
    expect(signature.status).not.toBe('valid')
  })
})

test('a signature that was changed is invalid', async () => {
  const copy = der.slice()
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1
  expect((await parseCsr(copy)).signature).toMatchObject({ status: 'invalid' })
})
