import { webcrypto } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type * as Pkcs11Js from 'pkcs11js'
import { openBackend } from '../backends/index.ts'
import { loadPeer } from '../backends/peer.ts'
import { KEY_TYPES, SIGNATURE_ALGORITHMS } from '../src/csr/algorithms.ts'
import { CsrBuilder } from '../src/index.ts'
import { createSoftHsmToken, type SoftHsmToken } from '../src/testing/index.ts'
import { loop, measure, print } from './harness.ts'

const SESSIONS = 4
const REQUEST = {
  subject: { country: 'US', commonName: 'app.example.com' },
  sans: ['a.example.com', 'b.example.com', 'c.example.com', 'd.example.com'],
}

/** Whole verified requests by SoftHSM, against a bare loop over the driver with as many sessions. */
export async function benchPkcs11({ rounds }: { readonly rounds: number }): Promise<void> {
  const token = await createSoftHsmToken()
  try {
    const uri = `${token.uri}&max-sessions=${SESSIONS}`
    await using backend = await openBackend(uri)
    for (const keyType of ['p256v1', 'rsa2048'] as const) {
      const key = await backend.generateKey(keyType, { label: `bench:${keyType}` })
      const bare = await openBareLoop(token, key.publicKey, `bench:${keyType}`, keyType)
      const count = keyType === 'rsa2048' ? 400 : 2000
      const ours = loop('keystay: encode, sign, verify', count, 64, () =>
        new CsrBuilder(REQUEST).sign(key),
      )
      print(
        `${keyType} by SoftHSM, ${SESSIONS} sessions, 64 in flight`,
        await measure([ours, bare.contender(count)], rounds),
      )
      const delay = monitorEventLoopDelay({ resolution: 1 })
      delay.enable()
      await ours.round()
      delay.disable()
      const [p50, p99, max] = [delay.percentile(50), delay.percentile(99), delay.max].map((ns) =>
        (ns / 1e6).toFixed(1),
      )
      console.log(
        `  event-loop delay in one more round: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`,
      )
      bare.close()
    }
  } finally {
    await token.dispose()
  }
}

/** `pkcs11js` alone: as many sessions, each signing and having WebCrypto verify, in turn. */
async function openBareLoop(
  token: SoftHsmToken,
  spki: Uint8Array,
  label: string,
  keyType: 'p256v1' | 'rsa2048',
): Promise<{ contender(count: number): ReturnType<typeof loop>; close(): void }> {
  const { default: pkcs11js } = (await loadPeer('pkcs11js', () => import('pkcs11js'))) as {
    default: typeof Pkcs11Js
  }
  const module = new pkcs11js.PKCS11()
  module.load(token.modulePath)
  const slot = module
    .C_GetSlotList(true)
    .find((candidate) => module.C_GetTokenInfo(candidate).label.trim() === token.label)
  if (slot === undefined) throw new Error('the token is not there')
  const flags = pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION
  const free = Array.from({ length: SESSIONS }, () => module.C_OpenSession(slot, flags))
  const [first = Buffer.alloc(0)] = free
  const template = [
    { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_PRIVATE_KEY },
    { type: pkcs11js.CKA_LABEL, value: label },
  ]
  module.C_FindObjectsInit(first, template)
  const [handle = Buffer.alloc(0)] = module.C_FindObjects(first, 1)
  module.C_FindObjectsFinal(first)

  const { namedCurve } = KEY_TYPES[keyType]
  const { hash = '' } = SIGNATURE_ALGORITHMS[KEY_TYPES[keyType].signatureAlgorithms[0]]
  const algorithm =
    namedCurve === undefined
      ? { name: 'RSASSA-PKCS1-v1_5', hash }
      : { name: 'ECDSA', namedCurve, hash }
  const publicKey = await webcrypto.subtle.importKey('spki', spki, algorithm, false, ['verify'])
  const mechanism = {
    mechanism: namedCurve === undefined ? pkcs11js.CKM_SHA256_RSA_PKCS : pkcs11js.CKM_ECDSA,
  }
  const message = webcrypto.getRandomValues(new Uint8Array(400))
  const digest = Buffer.from(await webcrypto.subtle.digest(hash, message))
  const input = namedCurve === undefined ? Buffer.from(message) : digest
  return {
    contender: (count) =>
      loop(`bare pkcs11js + subtle.verify`, count, SESSIONS, async () => {
        const session = free.pop() ?? first
        module.C_SignInit(session, mechanism, handle)
        const signature = await module.C_SignAsync(session, input, Buffer.alloc(512))
        free.push(session)
        await webcrypto.subtle.verify(algorithm, publicKey, signature, message)
      }),
    close: () => {
      for (const session of free) module.C_CloseSession(session)
    },
  }
}
