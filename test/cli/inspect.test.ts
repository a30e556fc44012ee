import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openBackend } from '../../backends/index.ts'
import { CsrBuilder } from '../../src/csr/csr-builder.ts'
import type { CsrRequest } from '../../src/csr/request/request.ts'
import { errorOf, pipe, run, temporaryDirectory } from './support.ts'

const FULL: CsrRequest = {
  subject: {
    country: 'US',
    organization: 'Ü + Söhne, Inc.',
    commonName: 'app.example.com',
    other: [{ oid: '1.2.3.4', value: 'x' }],
  },
  sans: [
    'app.example.com',
    { ip: '2001:db8::1' },
    { email: 'a@example.com' },
    { uri: 'https://example.com/' },
    { upn: 'b@example.com' },
    { otherName: { oid: '1.2.3', value: Uint8Array.of(5, 0) } },
  ],
  keyUsage: ['digitalSignature', 'keyCertSign'],
  extKeyUsage: ['serverAuth'],
  basicConstraints: { ca: true, pathLen: 0 },
  tlsFeature: ['status_request'],
  certificateTemplateName: 'WebServer',
  extensions: [{ oid: '1.2.3.4.5', critical: true, value: Uint8Array.of(4, 1, 0xff) }],
  challengePassword: 'opensesame',
}

async function sign(request: CsrRequest): Promise<{ pem: string; der: Uint8Array }> {
  await using backend = await openBackend('webcrypto:')
  const key = await backend.generateKey('p256v1', { label: 'keystay:inspected' })
  return await new CsrBuilder(request).sign(key)
}

describe('keystay inspect', () => {
  test('shows all that is in a request', async () => {
    const { pem } = await sign(FULL)
    const { exitCode, stdout, stderr } = await run(['inspect', '-'], { stdin: pem })
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    const lines = stdout.trimEnd().split('\n')
    const fingerprint = lines.splice(11, 1)[0]
    expect(fingerprint).toMatch(/^ {12}SHA-256 [0-9a-f]{64}$/)
    expect(lines).toEqual([
      'Subject     C = US',
      '            O = Ü + Söhne, Inc.',
      '            CN = app.example.com',
      '            1.2.3.4 = x',
      'Names       DNS app.example.com',
      '            IP 2001:db8::1',
      '            email a@example.com',
      '            URI https://example.com/',
      '            UPN b@example.com',
      '            other 1.2.3 0500',
      'Key         p256v1 (ecPublicKey, P-256, 256 bits)',
      'Signature   ✔ valid, ecdsa-sha256',
      'Extensions  subjectAltName: 6 names, see above',
      '            basicConstraints (critical): CA, path length 0',
      '            keyUsage (critical): digitalSignature, keyCertSign',
      '            extKeyUsage: serverAuth',
      '            tlsFeature: 5 (must-staple)',
      '            certificateTemplateName: WebServer',
      '            1.2.3.4.5 (critical): 0401ff',
      'Attributes  challengePassword: opensesame',
    ])
  })

  test('as JSON', async () => {
    const { pem, der } = await sign(FULL)
    const { exitCode, stdout } = await run(['inspect', '-', '--json'], { stdin: pem })
    expect(exitCode).toBe(0)
    expect((await run(['inspect', '-', '--json'], { stdin: der })).stdout).toBe(stdout)
    const shown = JSON.parse(stdout) as Record<string, unknown>
    expect(shown).toMatchObject({
      subject: {
        rdns: expect.arrayContaining([
          [expect.objectContaining({ oid: '2.5.4.6', name: 'country', value: 'US' })],
        ]) as object,
      },
      sans: [
        { dns: 'app.example.com' },
        { ip: '2001:db8::1' },
        { email: 'a@example.com' },
        { uri: 'https://example.com/' },
        { upn: 'b@example.com' },
        { other_name: { oid: '1.2.3', value: 'BQA=' } },
      ],
      public_key: { key_type: 'p256v1', algorithm: 'ecPublicKey', bits: 256, curve: 'P-256' },
      signature: { algorithm: 'ecdsa-sha256', status: 'valid', reason: null },
      key_usage: ['digitalSignature', 'keyCertSign'],
      ext_key_usage: ['serverAuth'],
      basic_constraints: { ca: true, path_len: 0 },
      tls_feature: [5],
      certificate_template_name: 'WebServer',
      attributes: [{ name: 'challengePassword', text: 'opensesame' }],
      warnings: [],
    })
    const { pem: publicKey } = shown['public_key'] as { pem: string }
    expect(await pipe('openssl', ['pkey', '-pubin', '-noout'], publicKey)).toBe('')
  })

  test("reads other programs' requests, in a file, as DER or with text around", async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'theirs.csr')
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1', '-nodes']
    const keyOut = ['-keyout', join(directory.path, 'key.pem')]
    await pipe('openssl', ['req', '-new', ...key, ...keyOut, '-subj', '/CN=theirs', '-out', path])
    const { exitCode, stdout } = await run(['inspect', path])
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^Key +of another type \(ecPublicKey, secp256k1\)$/m)
    expect(stdout).toMatch(/^Signature +! not verified, ecdsa-sha256: .+$/m)

    const { pem, der } = await sign({ subject: { commonName: 'ours' } })
    const framed = `hello\r\n${pem.replaceAll('\n', '\r\n')}\r\nbye`
    for (const stdin of [der, framed]) {
      expect((await run(['inspect', '-'], { stdin })).stdout).toContain('CN = ours')
    }
  })

  test('exits with 1 when the signature is not valid, after showing what is there', async () => {
    const { der } = await sign({ subject: { commonName: 'forged' } })
    const forged = Buffer.from(der)
    forged.write('F', forged.indexOf('forged'))
    const text = await run(['inspect', '-'], { stdin: forged })
    expect(text.exitCode).toBe(1)
    expect(text.stdout).toMatch(/CN = Forged.*✘ INVALID/s)
    expect(text.stderr).toMatch(/^keystay: do not trust .* \[csr_signature_invalid\]\n$/)
    const json = await run(['inspect', '-', '--json'], { stdin: forged })
    expect(JSON.parse(json.stdout)).toMatchObject({ signature: { status: 'invalid' } })
    expect(errorOf(json).code).toBe('csr_signature_invalid')
  })

  test('escapes what a name could do to a terminal', async () => {
    const { der } = await sign({ subject: { commonName: 'evil-123456-name' } })
    const evil = Buffer.from(der)
    evil.write('\u001b[2J\n\u009b', evil.indexOf('123456'))
    const text = await run(['inspect', '-'], { stdin: evil })
    expect(text.stdout).toContain('CN = evil-\\u{1b}[2J\\u{a}')
    expect(text.stdout).not.toMatch(/[\u001b\u009b]/u)
    const json = await run(['inspect', '-', '--json'], { stdin: evil })
    expect(json.stdout).not.toMatch(/[\u001b\u009b]/u)
    expect(JSON.stringify(JSON.parse(json.stdout))).toContain('\\u001b[2J\\n')
  })

  test.each([
    ['', 'csr_empty'],
    ['hello', 'csr_not_found'],
    ['-----BEGIN CERTIFICATE REQUEST-----\n', 'pem_invalid'],
  ])('of %j fails with %s', async (stdin, code) => {
    const result = await run(['inspect', '-', '--json'], { stdin })
    expect(result).toMatchObject({ exitCode: 1, stdout: '' })
    expect(errorOf(result).code).toBe(code)
  })
})
