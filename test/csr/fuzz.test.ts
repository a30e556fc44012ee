import { beforeAll, describe, expect, test } from 'vitest'
import { CsrBuilder, KeystayError, parseCsr, type CsrRequest } from '../../src/index.ts'
import { createDerWriter, finishDer, writeHeader } from '../../src/csr/der/der-writer.ts'
import { createSoftwareKey } from '../support/software-key.ts'
import {
  altNames,
  asking,
  attribute,
  extension,
  handmade,
  nameOf,
  oid,
  sequence,
  set,
  tlv,
} from './handmade.ts'

const RUNS = Number(process.env['KEYSTAY_FUZZ_RUNS'] ?? 100_000)
const SEED = Number(process.env['KEYSTAY_FUZZ_SEED'] ?? 20_261_123)
const LIMIT_MS = 50

/** A small generator of numbers that gives the same ones for the same seed (mulberry32). */
function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

type Random = ReturnType<typeof seeded>

const FULL: CsrRequest = {
  subject: { country: 'US', organization: 'Zürich AG', other: [{ oid: '1.2.3', value: 'x' }] },
  sans: ['a.example', { ip: '::1' }, { email: 'a@b.example' }, { upn: 'a@b' }, { uri: 'urn:x' }],
  keyUsage: ['digitalSignature'],
  extKeyUsage: ['serverAuth', '1.2.3'],
  basicConstraints: { ca: true, pathLen: 1 },
  tlsFeature: ['status_request'],
  certificateTemplateName: 'T',
  challengePassword: 'p',
}

let ders: Uint8Array[]
let pems: string[]

beforeAll(async () => {
  const requests = [FULL, { subject: { commonName: 'a' } }]
  const keys = await Promise.all((['p256v1', 'rsa2048', 'ed25519'] as const).map(createSoftwareKey))
  const csrs = await Promise.all(
    requests.flatMap((request) =>
      keys.map((key) =>
        new CsrBuilder(request).sign(
          key,
          key.keyType === 'rsa2048' ? { signatureAlgorithm: 'rsa-pss-sha256' } : {},
        ),
      ),
    ),
  )
  const foreign = handmade({
    subject: nameOf(tlv(0x1e, '\0Z')),
    attributes: [
      attribute('1.2.3', tlv(0x14, 'x')),
      asking(altNames(tlv(0xa4, nameOf(tlv(0x13, 'x'))), tlv(0x88, [0x2a]))),
    ],
  })
  ders = [...csrs.map(({ der }) => der), foreign]
  pems = csrs.map(({ pem }) => pem)
})

function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[random(items.length)] as Item
}

/** Bits, lengths and tags changed, pieces cut out, doubled, or taken from another request. */
function mutateBytes(random: Random, original: Uint8Array): Uint8Array {
  const bytes = Buffer.from(original)
  const at = random(bytes.length)
  const count = 1 + random(16)
  switch (random(7)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8))
      return bytes
    case 1:
      bytes[at] = pick(random, [0, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x88, 0xff, random(256)])
      return bytes
    case 2:
      return bytes.subarray(0, at)
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + count)])
    case 4:
      return Buffer.concat([bytes.subarray(0, at + count), bytes.subarray(at)])
    case 5: {
      const other = pick(random, ders)
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random(other.length))])
    }
    default:
      for (let times = 0; times < 3; times++) bytes[random(bytes.length)] = random(256)
      return bytes
  }
}

const SNIPPETS = [
  '-----',
  '\r\n',
  '=',
  '\0',
  '-----BEGIN X-----',
  '-----END X-----',
  '\ufeff',
  'ü',
  ' ',
]

function mutateText(random: Random, text: string): string {
  const at = random(text.length)
  switch (random(4)) {
    case 0:
      return text.slice(0, at) + pick(random, SNIPPETS) + text.slice(at)
    case 1:
      return text.slice(0, at) + text.slice(at + 1 + random(80))
    case 2:
      return text.slice(0, at) + pick(random, pems).slice(random(600))
    default:
      return text.slice(0, at) + String.fromCharCode(32 + random(96)) + text.slice(at + 1)
  }
}

function mutate(random: Random): string | Uint8Array {
  if (random(4) === 0) return mutateText(random, pick(random, pems))
  let bytes = mutateBytes(random, pick(random, ders))
  while (bytes.length > 0 && random(3) === 0) bytes = Buffer.from(mutateBytes(random, bytes))
  // Short of its end, a request only ever shows that its end is missing.
  if (random(2) === 0 && bytes.length > 4 && bytes[0] === 0x30 && bytes[1] === 0x82) {
    bytes[2] = (bytes.length - 4) >> 8
    bytes[3] = (bytes.length - 4) & 0xff
  }
  return bytes
}

/** `undefined`, or the exception that must not be. */
async function unexpected(input: string | Uint8Array): Promise<unknown> {
  try {
    await parseCsr(input)
  } catch (error) {
    if (!(error instanceof KeystayError))
      return { error, input: Buffer.from(input).toString('hex') }
  }
  return undefined
}

async function milliseconds(input: string | Uint8Array): Promise<number> {
  const start = performance.now()
  await unexpected(input)
  return performance.now() - start
}

/** The best of some: a collection of garbage, or another process, is not the parser's time. */
async function bestOf(times: number, input: string | Uint8Array): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let run = 0; run < times; run++) best = Math.min(best, await milliseconds(input))
  return best
}

test(`${RUNS} mutated requests (seed ${SEED}) give a result or a KeystayError, and soon`, async () => {
  const random = seeded(SEED)
  let parsed = 0
  for (let done = 0; done < RUNS; done += 64) {
    const batch = Array.from({ length: 64 }, () => mutate(random))
    const slow: (string | Uint8Array)[] = []
    const results = batch.map(async (input) => {
      // All but the verification, which is on the thread pool, happens before the first `await`.
      const start = performance.now()
      const result = unexpected(input)
      if (performance.now() - start > LIMIT_MS / 2) slow.push(input)
      return result
    })
    expect((await Promise.all(results)).filter((result) => result !== undefined)).toEqual([])
    for (const input of slow) expect(await bestOf(5, input)).toBeLessThan(LIMIT_MS)
    parsed += batch.length
  }
  expect(parsed).toBeGreaterThanOrEqual(RUNS)
}, 600_000)

describe('64 KiB made to be slow', () => {
  const SIZE = 64 * 1024
  const many = (bytes: Uint8Array): Uint8Array =>
    Buffer.concat(Array.from({ length: Math.floor((SIZE - 300) / bytes.length) }, () => bytes))
  const numbered = (make: (number: number) => Uint8Array): Uint8Array =>
    Buffer.concat(Array.from({ length: 4000 }, (_, index) => make(index)))
  const nested = (): Uint8Array => {
    const writer = createDerWriter(SIZE)
    while (writer.length < SIZE - 400) writeHeader(writer, 0x30, 0)
    return finishDer(writer)
  }
  const cases: readonly (readonly [string, () => string | Uint8Array])[] = [
    [
      'attributes of a name',
      () => handmade({ subject: sequence(many(set(sequence(oid('2.5.4.3'), tlv(0x0c, 'a'))))) }),
    ],
    [
      'one RDN of many',
      () => handmade({ subject: sequence(set(many(sequence(oid('2.5.4.3'), tlv(0x0c, 'a'))))) }),
    ],
    ['one long string', () => handmade({ subject: nameOf(tlv(0x0c, ','.repeat(SIZE - 300))) })],
    [
      'one long BMPString',
      () => handmade({ subject: nameOf(tlv(0x1e, '\0\0'.repeat(SIZE / 2 - 200))) }),
    ],
    [
      'one long OID',
      () =>
        handmade({
          subject: sequence(
            set(sequence(tlv(0x06, new Uint8Array(SIZE - 300).fill(1)), tlv(0x0c))),
          ),
        }),
    ],
    [
      'one endless arc',
      () =>
        handmade({
          subject: sequence(
            set(sequence(tlv(0x06, new Uint8Array(SIZE - 300).fill(0xff)), tlv(0x0c))),
          ),
        }),
    ],
    ['alternative names', () => handmade({ attributes: [asking(altNames(many(tlv(0x82, 'a'))))] })],
    [
      'empty alternative names',
      () => handmade({ attributes: [asking(altNames(many(tlv(0x82))))] }),
    ],
    [
      'unread alternative names',
      () => handmade({ attributes: [asking(altNames(many(tlv(0x87))))] }),
    ],
    [
      'extensions',
      () =>
        handmade({
          attributes: [asking(numbered((number) => extension(`1.2.${number}`, tlv(0x04))))],
        }),
    ],
    [
      'attributes',
      () => handmade({ attributes: [numbered((number) => attribute(`1.2.${number}`, tlv(0x05)))] }),
    ],
    [
      'values of one attribute',
      () => handmade({ attributes: [attribute('1.2.3', many(tlv(0x05)))] }),
    ],
    ['deep nesting', () => handmade({ attributes: [nested()] })],
    [
      'a huge modulus',
      () => {
        const key = sequence(
          tlv(0x02, [0], new Uint8Array(SIZE - 400).fill(0xff)),
          tlv(0x02, [1, 0, 1]),
        )
        const rsa = sequence(oid('1.2.840.113549.1.1.1'), tlv(0x05))
        const algorithm = sequence(oid('1.2.840.113549.1.1.11'), tlv(0x05))
        return handmade({ spki: sequence(rsa, tlv(0x03, [0], key)), algorithm })
      },
    ],
    [
      'a modulus of 16,384 bits and an exponent of as many',
      () => {
        const full = new Uint8Array(2048).fill(0xff)
        const key = sequence(tlv(0x02, [0], full), tlv(0x02, [0], full))
        const rsa = sequence(oid('1.2.840.113549.1.1.1'), tlv(0x05))
        const algorithm = sequence(oid('1.2.840.113549.1.1.11'), tlv(0x05))
        return handmade({ spki: sequence(rsa, tlv(0x03, [0], key)), algorithm })
      },
    ],
    ['PEM beginnings', () => '-----BEGIN A-----\n'.repeat(SIZE / 18)],
    ['PEM blocks', () => '-----BEGIN A-----\n-----END A-----\n'.repeat(SIZE / 34)],
    ['hyphens', () => '-'.repeat(SIZE)],
    ['almost a private key', () => '-----BEGIN PRIVATE KE'.repeat(SIZE / 21)],
    ['white space', () => `${' '.repeat(SIZE)}x`],
    ['white space in base64', () => 'A \n'.repeat(SIZE / 3)],
    ['equals signs', () => '='.repeat(SIZE)],
    ['base64', () => 'A'.repeat(SIZE)],
  ]
  test.each(cases)('%s', async (_, make) => {
    const input = make()
    expect(await unexpected(input)).toBeUndefined()
    expect(await bestOf(5, input)).toBeLessThan(LIMIT_MS)
  })
})
