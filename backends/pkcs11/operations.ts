import { endianness } from 'node:os'
import { CKA, CKF, CKK, CKO, CKR, CKU_USER, USER_SESSION_STATES } from './cryptoki.ts'
import type { Driver, Handle, TemplateAttribute } from './driver.ts'
import type {
  TokenInfo,
  MechanismInfo,
  KeyAttributes,
  KeyClaims,
  KeyQuery,
  SignJob,
  SignOutcome,
  KeyPairRequest,
} from './operation-types.ts'
import { createReturnValueError, returnValueOf } from './return-values.ts'

/** CK_UNAVAILABLE_INFORMATION, as the driver cuts it. */
const UNAVAILABLE = 0xffff_ffff
/** What no token has, and some say that they have. */
const BOUNDLESS = 0xffff_ff00
const FIND_BATCH = 1_000
const UNREADABLE: readonly number[] = [
  CKR.ATTRIBUTE_TYPE_INVALID,
  CKR.ATTRIBUTE_SENSITIVE,
  CKR.ATTRIBUTE_VALUE_INVALID,
  CKR.FUNCTION_NOT_SUPPORTED,
]
const decoder = new TextDecoder()

/** A CK_ULONG. Its size and byte order are the machine's. */
function readUlong(bytes: Uint8Array): number | undefined {
  if (bytes.length !== 4 && bytes.length !== 8) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const little = endianness() === 'LE'
  if (bytes.length === 4) return view.getUint32(0, little)
  const value = view.getBigUint64(0, little)
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : Number(value)
}

/** Texts are padded with blanks (PKCS#11 section 3.2), by some with NUL. */
function trimPadding(text: string): string {
  return text.replace(/[ \0]+$/, '')
}

function knownCount(count: number): number | undefined {
  return count === 0 || count >= BOUNDLESS ? undefined : count
}

/** What is absent is left out, so that one object can be laid over another. */
function withoutAbsent(attributes: AbsentAllowed<KeyAttributes>): KeyAttributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined))
}

type AbsentAllowed<T> = { [Name in keyof T]?: T[Name] | undefined }

/** Whether it ran; `false` where the module answered one of the tolerated values. */
function tolerate(tolerated: readonly number[], run: () => void): boolean {
  try {
    run()
    return true
  } catch (error) {
    if (tolerated.includes(returnValueOf(error) ?? CKR.OK)) return false
    throw error
  }
}

/**
 * Everything that is done with a module, each as one call that blocks. One instance serves one
 * thread and owns at most one session, on which one operation runs at a time (a session can do no
 * more). Arguments and results can be sent between threads.
 */
export class Operations {
  readonly #driver: Driver
  #slot: Handle | undefined
  #session: Handle | undefined

  constructor(driver: Driver) {
    this.#driver = driver
  }

  load(modulePath: string): void {
    this.#driver.load(modulePath)
  }

  /** @returns whether it was this call that initialised the module */
  initialize(libraryParameters: string | undefined): boolean {
    return tolerate([CKR.CRYPTOKI_ALREADY_INITIALIZED], () => {
      this.#driver.C_Initialize({
        // Without it the module may assume a single thread (PKCS#11 section 5.4).
        flags: CKF.OS_LOCKING_OK,
        // The driver cuts the last character off.
        ...(libraryParameters !== undefined && { libraryParameters: `${libraryParameters} ` }),
      })
    })
  }

  finalize(): void {
    tolerate([CKR.CRYPTOKI_NOT_INITIALIZED], () => {
      this.#driver.C_Finalize()
    })
  }

  describeModule(): string {
    const { manufacturerID, libraryDescription } = this.#driver.C_GetInfo()
    return `${trimPadding(libraryDescription)} (${trimPadding(manufacturerID)})`
  }

  listTokens(): TokenInfo[] {
    const tokens: TokenInfo[] = []
    for (const slot of this.#driver.C_GetSlotList(true)) {
      try {
        tokens.push(this.readToken(slot))
      } catch (error) {
        // A slot whose token does not answer must not hide the others.
        const ckr = returnValueOf(error)
        if (ckr === undefined || ckr === CKR.CRYPTOKI_NOT_INITIALIZED) throw error
      }
    }
    return tokens
  }

  readToken(slot: Handle): TokenInfo {
    const info = this.#driver.C_GetTokenInfo(slot)
    const limits = [info.maxSessionCount, info.maxRwSessionCount].map(knownCount)
    const [limit] = limits.filter((count) => count !== undefined).sort((one, two) => one - two)
    return {
      slot: Uint8Array.from(slot),
      slotId: readUlong(slot) ?? -1,
      label: trimPadding(info.label),
      manufacturer: trimPadding(info.manufacturerID),
      model: trimPadding(info.model),
      serial: trimPadding(info.serialNumber),
      flags: info.flags,
      maxSessions: limit,
      sessions: info.sessionCount === UNAVAILABLE ? undefined : info.sessionCount,
    }
  }

  listMechanisms(slot: Handle): MechanismInfo[] {
    return this.#driver.C_GetMechanismList(slot).map((mechanism) => {
      const { minKeySize, maxKeySize } = this.#driver.C_GetMechanismInfo(slot, mechanism)
      return { mechanism, minKeySize, maxKeySize }
    })
  }

  /** Always read-write: generating needs it, and some tokens know no other (AWS CloudHSM). */
  openSession(slot: Handle): void {
    this.#slot = slot
    this.#session = this.#driver.C_OpenSession(slot, CKF.SERIAL_SESSION | CKF.RW_SESSION)
  }

  /**
   * Another session in place of one that failed: an operation may stick to it for ever. The new one
   * is opened first, where the token has one more to give: closing the last one logs out.
   */
  replaceSession(): void {
    const slot = this.#slot
    if (slot === undefined) throw new Error('no session was open')
    const old = this.#session
    const opened = tolerate([CKR.SESSION_COUNT], () => {
      this.openSession(slot)
    })
    this.#close(old)
    if (!opened) this.openSession(slot)
  }

  closeSession(): void {
    const session = this.#session
    this.#session = undefined
    this.#close(session)
  }

  #close(session: Handle | undefined): void {
    if (session === undefined) return
    try {
      this.#driver.C_CloseSession(session)
    } catch {
      // It was dead already, or the device is: either way there is nothing left to close.
    }
  }

  /** @returns `false` where somebody in this process had logged in: the PIN was not looked at */
  login(pin: string): boolean {
    return tolerate([CKR.USER_ALREADY_LOGGED_IN], () => {
      this.#driver.C_Login(this.#open(), CKU_USER, pin)
    })
  }

  isLoggedIn(): boolean {
    return USER_SESSION_STATES.includes(this.#driver.C_GetSessionInfo(this.#open()).state)
  }

  /**
   * The private keys that match, as one array of bytes per handle.
   * @param loginRequired whether finding none means nothing while nobody is logged in
   */
  findPrivateKeys(query: KeyQuery | undefined, loginRequired: boolean): Handle[] {
    // Before and after: another thread may log in while this one looks.
    if (loginRequired) this.#refuseLoggedOut()
    const found = this.#find(CKO.PRIVATE_KEY, query)
    if (found.length === 0 && loginRequired) this.#refuseLoggedOut()
    return found
  }

  /** All that can be read of a key, from its private half first and then from its public one. */
  readKey(privateKey: Handle): KeyAttributes {
    const own = this.#readAttributes(privateKey)
    const complete = own.ecPoint ?? own.publicExponent ?? own.publicKeyInfo
    if (complete !== undefined || own.id === undefined) return own
    const [publicKey] = this.#find(CKO.PUBLIC_KEY, { id: own.id })
    return publicKey === undefined ? own : { ...this.#readAttributes(publicKey), ...own }
  }

  /** What a listing shows of keys; `undefined` for one that has gone meanwhile. */
  readListing(privateKeys: readonly Handle[]): (KeyAttributes | undefined)[] {
    return privateKeys.map((key) => {
      let attributes: KeyAttributes | undefined
      tolerate([CKR.OBJECT_HANDLE_INVALID, CKR.KEY_HANDLE_INVALID], () => {
        attributes = this.#readNames(key)
      })
      return attributes
    })
  }

  readClaims(key: Handle): KeyClaims {
    const flag = (type: number) => {
      const value = this.#readAttribute(key, type)
      return value === undefined ? null : value[0] !== 0
    }
    const mechanism = this.#readAttribute(key, CKA.KEY_GEN_MECHANISM)
    const number = mechanism === undefined ? undefined : readUlong(mechanism)
    return {
      CKA_SENSITIVE: flag(CKA.SENSITIVE),
      CKA_EXTRACTABLE: flag(CKA.EXTRACTABLE),
      CKA_ALWAYS_SENSITIVE: flag(CKA.ALWAYS_SENSITIVE),
      CKA_NEVER_EXTRACTABLE: flag(CKA.NEVER_EXTRACTABLE),
      CKA_LOCAL: flag(CKA.LOCAL),
      CKA_KEY_GEN_MECHANISM: number === UNAVAILABLE ? null : (number ?? null),
    }
  }

  generate({ mechanism, publicTemplate, privateTemplate }: KeyPairRequest): {
    privateKey: Handle
    attributes: KeyAttributes
    claims: KeyClaims
  } {
    const { publicKey, privateKey } = this.#driver.C_GenerateKeyPair(
      this.#open(),
      mechanism,
      publicTemplate,
      privateTemplate,
    )
    const attributes = {
      ...this.#readAttributes(publicKey),
      ...this.#readAttributes(privateKey),
    }
    const claims = this.readClaims(privateKey)
    return { privateKey: Uint8Array.from(privateKey), attributes, claims }
  }

  /**
   * Destroys both halves, the private one first: what a crash leaves is a public key. Touches
   * nothing where several private keys match.
   * @returns how many private and public halves there were
   */
  destroy(query: KeyQuery, loginRequired: boolean): { privateKeys: number; publicKeys: number } {
    const privateKeys = this.findPrivateKeys(query, loginRequired)
    const publicKeys = this.#find(CKO.PUBLIC_KEY, query)
    if (privateKeys.length <= 1) {
      for (const key of [...privateKeys, ...publicKeys]) {
        tolerate([CKR.OBJECT_HANDLE_INVALID], () => {
          this.#driver.C_DestroyObject(this.#open(), key)
        })
      }
    }
    return { privateKeys: privateKeys.length, publicKeys: publicKeys.length }
  }

  /** Signs one after the other. The first failure spoils the session for the rest. */
  sign(jobs: readonly SignJob[]): SignOutcome[] {
    let spoilt = false
    return jobs.map((job) => {
      if (spoilt) return { skipped: true }
      try {
        this.#driver.C_SignInit(this.#open(), job.mechanism, job.key)
        const output = new Uint8Array(job.outputBytes)
        const signature = this.#driver.C_Sign(this.#open(), job.input, output)
        return { signature: Uint8Array.from(signature) }
      } catch (error) {
        const ckr = returnValueOf(error)
        if (ckr === undefined) throw error
        spoilt = true
        return { ckr }
      }
    })
  }

  #refuseLoggedOut(): void {
    if (!this.isLoggedIn()) throw createReturnValueError(CKR.USER_NOT_LOGGED_IN)
  }

  #open(): Handle {
    if (this.#session === undefined) throw createReturnValueError(CKR.SESSION_CLOSED)
    return this.#session
  }

  #find(objectClass: number, query: KeyQuery | undefined): Handle[] {
    const session = this.#open()
    const template: TemplateAttribute[] = [{ type: CKA.CLASS, value: objectClass }]
    if (query !== undefined) {
      template.push(
        'id' in query ? { type: CKA.ID, value: query.id } : { type: CKA.LABEL, value: query.label },
      )
    }
    const found: Handle[] = []
    this.#driver.C_FindObjectsInit(session, template)
    let batch: Handle[]
    do {
      batch = this.#driver.C_FindObjects(session, FIND_BATCH)
      found.push(...batch.map((handle) => Uint8Array.from(handle)))
    } while (batch.length > 0)
    this.#driver.C_FindObjectsFinal(session)
    return found
  }

  /** What a listing shows of a key: each attribute more is two calls per key. */
  #readNames(object: Handle): KeyAttributes {
    const keyType = this.#readAttribute(object, CKA.KEY_TYPE)
    const label = this.#readAttribute(object, CKA.LABEL)
    const type = keyType && readUlong(keyType)
    return withoutAbsent({
      id: this.#readAttribute(object, CKA.ID),
      label: label && decoder.decode(label),
      keyType: type,
      ...(type === CKK.RSA
        ? { modulus: this.#readAttribute(object, CKA.MODULUS) }
        : { ecParams: this.#readAttribute(object, CKA.EC_PARAMS) }),
    })
  }

  #readAttributes(object: Handle): KeyAttributes {
    const names = this.#readNames(object)
    return withoutAbsent({
      ...names,
      ...(names.keyType === CKK.RSA
        ? { publicExponent: this.#readAttribute(object, CKA.PUBLIC_EXPONENT) }
        : { ecPoint: this.#readAttribute(object, CKA.EC_POINT) }),
      publicKeyInfo: this.#readAttribute(object, CKA.PUBLIC_KEY_INFO),
    })
  }

  /** One at a time: an unreadable attribute fails the whole read. An empty one is an unset one. */
  #readAttribute(object: Handle, type: number): Uint8Array | undefined {
    let value: unknown
    tolerate(UNREADABLE, () => {
      value = this.#driver.C_GetAttributeValue(this.#open(), object, [{ type }])[0]?.value
    })
    return value instanceof Uint8Array && value.length > 0 ? Uint8Array.from(value) : undefined
  }
}
