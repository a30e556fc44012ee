import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { createPublicKey, verify } from 'node:crypto'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from '../../../src/csr/algorithms.ts'
import { KeystayError, type ErrorCode } from '../../../src/errors.ts'
import type { SigningKey } from '../../../src/csr/signing-key.ts'
import type { SoftHsmToken } from '../../../src/testing/softhsm.ts'

/** The bare driver, for doing to the token what other code in the process might do. */
export interface BareDriver {
  load(path: string): void
  C_Initialize(options: { flags: number }): void
  C_Finalize(): void
  C_GetSlotList(present: boolean): Buffer[]
  C_GetTokenInfo(slot: Buffer): { label: string }
  C_OpenSession(slot: Buffer, flags: number): Buffer
  C_CloseSession(session: Buffer): void
  C_CloseAllSessions(slot: Buffer): void
  C_Login(session: Buffer, user: number, pin: string): void
  C_Logout(session: Buffer): void
  C_FindObjectsInit(session: Buffer, template: object[]): void
  C_FindObjects(session: Buffer, most: number): Buffer[]
  C_FindObjectsFinal(session: Buffer): void
  C_DestroyObject(session: Buffer, object: Buffer): void
  C_GenerateKeyPair(session: Buffer, mechanism: object, one: object[], other: object[]): unknown
}

export function openBareDriver(token: SoftHsmToken): { driver: BareDriver; slot: Buffer } {
  const { PKCS11 } = createRequire(import.meta.url)('pkcs11js') as { PKCS11: new () => BareDriver }
  const driver = new PKCS11()
  driver.load(token.modulePath)
  const slot = driver
    .C_GetSlotList(true)
    .find((candidate) => driver.C_GetTokenInfo(candidate).label.trim() === token.label)
  if (slot === undefined) throw new Error('the token is not there')
  return { driver, slot }
}

export function readPin(token: SoftHsmToken): string {
  return readFileSync(token.pinFile, 'utf8')
}

const run = promisify(execFile)

/** Another process: OpenSC's pkcs11-tool, logged in. */
export async function pkcs11Tool(token: SoftHsmToken, ...args: string[]): Promise<string> {
  const login = ['--login', '--pin', readPin(token), '--token-label', token.label]
  const { stdout } = await run('pkcs11-tool', ['--module', token.modulePath, ...login, ...args], {
    env: { ...process.env, ...token.env },
  })
  return stdout
}

/** Rejects with this code; answers the error, to look at its message. */
export async function expectCode(work: Promise<unknown>, code: ErrorCode): Promise<KeystayError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(KeystayError)
  const failure = error as KeystayError
  expect(failure.code, failure.message).toBe(code)
  return failure
}

/** Signs and has Node's OpenSSL verify. */
export async function signAndVerify(
  key: SigningKey,
  algorithm?: SignatureAlgorithm,
): Promise<boolean> {
  const message = new TextEncoder().encode(`message ${Math.random()}`)
  const signature = await key.sign(message, algorithm)
  const name = algorithm ?? DEFAULTS[key.keyType]
  const { hash, scheme, hashBytes } = SIGNATURE_ALGORITHMS[name]
  const publicKey = createPublicKey({
    key: Buffer.from(key.publicKey),
    format: 'der',
    type: 'spki',
  })
  const options =
    scheme === 'rsa-pss'
      ? { key: publicKey, padding: 6, saltLength: hashBytes ?? 0 }
      : { key: publicKey }
  return verify(hash?.replace('-', ''), message, options, signature)
}

const DEFAULTS = {
  rsa2048: 'rsa-pkcs1-sha256',
  rsa3072: 'rsa-pkcs1-sha256',
  rsa4096: 'rsa-pkcs1-sha256',
  p256v1: 'ecdsa-sha256',
  p384: 'ecdsa-sha384',
  p521: 'ecdsa-sha512',
  ed25519: 'ed25519',
} as const

/** All that comes. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
