import { createRequire } from 'node:module'
import { loadPeer } from '../peer.ts'

/** Session, object and slot handles: CK_ULONG in the machine's own size and byte order. */
export type Handle = Uint8Array

/** One attribute of a template. */
export interface TemplateAttribute {
  readonly type: number
  readonly value: boolean | number | string | Uint8Array
}

/** A mechanism as the driver wants it. */
export interface Mechanism {
  readonly mechanism: number
  readonly parameter?: {
    readonly type: number
    readonly hashAlg: number
    readonly mgf: number
    readonly saltLen: number
  }
}

/** CK_TOKEN_INFO as the driver answers it: texts padded, counts cut to 32 bits. */
export interface DriverTokenInfo {
  readonly label: string
  readonly manufacturerID: string
  readonly model: string
  readonly serialNumber: string
  readonly flags: number
  readonly maxSessionCount: number
  readonly maxRwSessionCount: number
  readonly sessionCount: number
}

/**
 * What of `pkcs11js` this backend calls. All of it blocks the thread it runs in, which is why it
 * runs in threads of its own: the driver's `…Async` forms cover signing but not what must precede
 * it, take the threads that Node reads files with, and leak or lose buffers
 * (PeculiarVentures/pkcs11js issues 120 and 121).
 */
export interface Driver {
  load(path: string): void
  C_Initialize(options: { flags: number; libraryParameters?: string }): void
  C_Finalize(): void
  C_GetInfo(): { manufacturerID: string; libraryDescription: string }
  C_GetSlotList(tokenPresent: boolean): Handle[]
  C_GetTokenInfo(slot: Handle): DriverTokenInfo
  C_GetMechanismList(slot: Handle): number[]
  C_GetMechanismInfo(
    slot: Handle,
    mechanism: number,
  ): { minKeySize: number; maxKeySize: number; flags: number }
  C_OpenSession(slot: Handle, flags: number): Handle
  C_CloseSession(session: Handle): void
  C_GetSessionInfo(session: Handle): { state: number }
  C_Login(session: Handle, user: number, pin: string): void
  C_FindObjectsInit(session: Handle, template: readonly TemplateAttribute[]): void
  C_FindObjects(session: Handle, most: number): Handle[]
  C_FindObjectsFinal(session: Handle): void
  C_GetAttributeValue(
    session: Handle,
    object: Handle,
    template: { type: number }[],
  ): { type: number; value?: unknown }[]
  C_DestroyObject(session: Handle, object: Handle): void
  C_SignInit(session: Handle, mechanism: Mechanism, key: Handle): void
  C_Sign(session: Handle, input: Uint8Array, output: Uint8Array): Uint8Array
  C_GenerateKeyPair(
    session: Handle,
    mechanism: Mechanism,
    publicKey: readonly TemplateAttribute[],
    privateKey: readonly TemplateAttribute[],
  ): { publicKey: Handle; privateKey: Handle }
}

/** The package `pkcs11js`, as far as this backend uses it. */
export interface DriverPackage {
  readonly PKCS11: new () => Driver
}

/** The driver and, where it is known, the file that another thread can load it from. */
export interface LoadedDriver {
  readonly driverPackage: DriverPackage
  readonly file: string | undefined
}

/**
 * The optional peer, or the instance that the caller has loaded.
 * @throws {KeystayError} `peer_missing`
 */
export async function loadDriver(given: object | undefined): Promise<LoadedDriver> {
  const require = createRequire(import.meta.url)
  if (given === undefined) {
    // A CommonJS package: required, it is the same instance whatever loads it.
    const driverPackage = await loadPeer('pkcs11js', async () => require('pkcs11js') as object)
    return { driverPackage: asPackage(driverPackage), file: require.resolve('pkcs11js') }
  }
  const driverPackage = asPackage(given)
  const loaded = Object.values(require.cache).find(
    (entry) =>
      (entry?.exports as Partial<DriverPackage> | undefined)?.PKCS11 === driverPackage.PKCS11,
  )
  return { driverPackage, file: loaded?.filename }
}

function asPackage(given: object): DriverPackage {
  const candidate = 'PKCS11' in given ? given : (given as { default?: object }).default
  if (typeof (candidate as Partial<DriverPackage> | undefined)?.PKCS11 !== 'function') {
    throw new TypeError('options.pkcs11js must be the package pkcs11js as it was imported')
  }
  return candidate as DriverPackage
}
