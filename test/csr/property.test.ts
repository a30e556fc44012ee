import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  CsrBuilder,
  KEY_TYPES,
  SIGNATURE_ALGORITHMS,
  parseCsr,
  type CsrRequest,
  type ParsedAltName,
  type ParsedCsr,
  type SignatureAlgorithm,
  type SigningKey,
  type SubjectAltName,
} from '../../src/index.ts'
import { createSoftwareKey } from '../support/software-key.ts'
import {
  createCertificateAuthority,
  temporaryDirectory,
  type CertificateAuthority,
  verifyEach,
} from './openssl.ts'
import { askedRdns, canonicalIp, encodeWithOracle } from './oracle.ts'
import { anyRequest, countAttributes } from './random-request.ts'

const RUNS = Number(process.env['KEYSTAY_PROPERTY_RUNS'] ?? 10_000)
const SEED = Number(process.env['KEYSTAY_PROPERTY_SEED'] ?? 20_261_123)

const directory = temporaryDirectory()
let keys: SigningKey[]
let authority: CertificateAuthority

beforeAll(async () => {
  authority = await createCertificateAuthority(directory.path)
  keys = await Promise.all(
    (['p256v1', 'p256v1', 'p384', 'ed25519', 'rsa2048'] as const).map(createSoftwareKey),
  )
})
afterAll(directory.remove)

/** A key and an algorithm for a run: cheap ones mostly. */
const choice = fc.tuple(
  fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 3 }) }, { weight: 1, arbitrary: fc.constant(4) }),
  fc.nat(),
)

function asParsed(san: SubjectAltName): ParsedAltName {
  if (typeof san === 'string') return { dns: san }
  return 'ip' in san ? { ip: canonicalIp(san.ip) } : san
}

function expectAsked(parsed: ParsedCsr, request: CsrRequest): void {
  const {
    sans = [],
    keyUsage,
    basicConstraints,
    certificateTemplateName,
    extensions = [],
  } = request
  expect(parsed.oddities).toEqual([])
  expect(parsed.signature).toMatchObject({ status: 'valid', reason: undefined })
  const subject = parsed.subject.rdns.map((rdn) =>
    rdn.map(({ oid, value }) => `${oid}=${value ?? ''}`).sort(),
  )
  expect(subject).toEqual(
    askedRdns(request.subject).map((rdn) => rdn.map(({ oid, value }) => `${oid}=${value}`).sort()),
  )
  expect(parsed.sans).toEqual(sans.map(asParsed))
  expect(parsed.keyUsage?.toSorted()).toEqual(keyUsage?.toSorted())
  expect(parsed.extKeyUsage).toEqual(request.extKeyUsage)
  expect(parsed.basicConstraints).toEqual(basicConstraints)
  expect(parsed.tlsFeature).toEqual(
    request.tlsFeature?.map((feature) => (feature === 'status_request' ? 5 : feature)),
  )
  expect(parsed.certificateTemplateName).toBe(certificateTemplateName)
  expect(parsed.attributes[0]?.text).toBe(request.challengePassword)
  for (const { oid, critical = false, value } of extensions) {
    expect(parsed.extensions).toContainEqual({ oid, name: undefined, critical, value })
  }
}

describe(`${RUNS} random requests`, () => {
  let pems: string[] = []
  const nameless: string[] = []
  const sample: string[] = []
  let asked = 0
  /** OpenSSL works on full batches while the next ones are made. */
  const certified: Promise<number>[] = []
  const flush = (): void => {
    certified.push(authority.certify(pems))
    pems = []
  }

  test('are byte-equal to the oracle and parse back to what was asked', async () => {
    await fc.assert(
      fc.asyncProperty(anyRequest, choice, async (request, [keyIndex, algorithmIndex]) => {
        const key = keys[keyIndex] as SigningKey
        const { signatureAlgorithms } = KEY_TYPES[key.keyType]
        const signatureAlgorithm = signatureAlgorithms[
          algorithmIndex % signatureAlgorithms.length
        ] as SignatureAlgorithm
        const csr = await new CsrBuilder(request).sign(key, { signatureAlgorithm })
        const parsed = await parseCsr(csr.pem)
        const oracle = encodeWithOracle(request, {
          spki: key.publicKey,
          identifier: SIGNATURE_ALGORITHMS[signatureAlgorithm].identifier,
          signature: parsed.signature.value,
        })
        expect(Buffer.from(csr.der).equals(oracle)).toBe(true)
        expectAsked(parsed, request)
        // `openssl ca` wants a subject; requests without one are verified by `openssl req` below.
        if (countAttributes(request.subject) === 0) {
          nameless.push(csr.pem)
          return
        }
        asked++
        pems.push(csr.pem)
        if (sample.length < 20) sample.push(csr.pem)
        if (pems.length === 1000) flush()
      }),
      { numRuns: RUNS, seed: SEED },
    )
  }, 600_000)

  test('are verified by OpenSSL, which issues a certificate for each', async () => {
    if (pems.length > 0) flush()
    expect(asked).toBeGreaterThan(RUNS / 2)
    const counts = await Promise.all(certified)
    expect(counts.reduce((sum, count) => sum + count)).toBe(asked)
  }, 600_000)

  test('are accepted by certtool, a sample of them', () => {
    for (const pem of sample) {
      execFileSync('certtool', ['--crq-info'], { input: pem, stdio: ['pipe', 'ignore', 'ignore'] })
    }
  })

  test('are verified by openssl req where they have no subject', async () => {
    expect(nameless.length + asked).toBe(RUNS)
    expect(await verifyEach(join(directory.path, 'nameless'), nameless)).toBe(nameless.length)
  }, 600_000)
})
