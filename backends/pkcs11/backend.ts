import { randomBytes } from 'node:crypto'
import {
  chooseSignatureAlgorithm,
  keyTypeFacts,
  type KeyType,
  type SignatureAlgorithm,
} from '../../src/csr/algorithms.ts'
import { readPublicKey } from '../../src/csr/public-key.ts'
import type { CallOptions } from '../../src/csr/signing-key.ts'
import { KeystayError } from '../../src/errors.ts'
import type { Attestation } from '../../src/key/attestation.ts'
import type {
  BackendCapabilities,
  BackendKey,
  DiagnosableBackend,
  DiagnosisStep,
  GenerateKeyOptions,
  GetKeyOptions,
  KeyDestruction,
  KeyListing,
  ListKeysOptions,
} from '../../src/key/backend.ts'
import { checkLabel } from '../../src/key/label.ts'
import { createAttestation } from './attestation.ts'
import { Call } from './call.ts'
import type { Connection } from './connect.ts'
import { generateKeyPair } from './generate.ts'
import { planGeneration, planSigning, readCapabilities, type SigningPlan } from './mechanisms.ts'
import type { KeyQuery } from './operation-types.ts'
import { keyTypeOf, readTokenPublicKey } from './public-key.ts'
import type { Attempt } from './token.ts'
import { formatKeyUri, parseKeyAddress } from './uri.ts'

/** Keys described in one visit to a session's thread: others get their turn in between. */
const LISTING_BATCH = 50

/** What is known of a key that was found. */
interface FoundKey {
  readonly query: KeyQuery
  readonly uri: string
  readonly label: string | undefined
  readonly keyType: KeyType
  readonly publicKey: Uint8Array
}

/** A token, as one backend among those that may share it. */
export class Pkcs11Backend implements DiagnosableBackend {
  readonly scheme = 'pkcs11'
  readonly uri: string
  readonly address: string | undefined
  readonly #connection: Connection
  readonly #capabilities: BackendCapabilities
  readonly #diagnose: () => AsyncIterable<DiagnosisStep>
  readonly #pending = new Set<Promise<unknown>>()
  readonly #plans = new Map<string, SigningPlan | undefined>()
  #closing: Promise<void> | undefined

  constructor(
    connection: Connection,
    address: string | undefined,
    diagnose: () => AsyncIterable<DiagnosisStep>,
  ) {
    this.address = address
    this.#connection = connection
    this.#capabilities = readCapabilities(connection.mechanisms)
    this.#diagnose = diagnose
    this.uri = connection.token.uri
  }

  async capabilities({ signal }: CallOptions = {}): Promise<BackendCapabilities> {
    this.#refuseClosed()
    signal?.throwIfAborted()
    return this.#capabilities
  }

  async generateKey(keyType: KeyType, { label, signal }: GenerateKeyOptions): Promise<BackendKey> {
    checkLabel(label)
    keyTypeFacts(keyType)
    this.#refuseClosed()
    const { token, settings, mechanisms } = this.#connection
    const { keyTypes } = this.#capabilities
    const mechanism = planGeneration(keyType, mechanisms)?.mechanism
    if (mechanism === undefined || !keyTypes.includes(keyType)) {
      throw new KeystayError(
        'key_type_unsupported',
        `token ${JSON.stringify(token.identity.label)} cannot generate and use ${keyType} keys; it can ${keyTypes.join(', ')}`,
        { pointer: '/key_type' },
      )
    }
    const id = randomBytes(16)
    const publicKey = await this.#run(
      'the token did not generate the key',
      signal,
      (attempt) => generateKeyPair({ token, settings, keyType, mechanism, id, label }, attempt),
      settings.generateTimeoutMs,
    )
    const uri = formatKeyUri(token.identity, id, label)
    return this.#createKey({ query: { id }, uri, label, keyType, publicKey })
  }

  async getKey(uri: string, { publicKey, signal }: GetKeyOptions = {}): Promise<BackendKey> {
    this.#refuseClosed()
    signal?.throwIfAborted()
    const { query, label } = this.#readKeyUri(uri)
    if (publicKey === undefined) {
      return this.#createKey(await this.#findKey(query, signal))
    }
    const { keyType } = readPublicKey(publicKey)
    if (keyType === undefined) {
      throw new KeystayError(
        'public_key_unsupported',
        'the public key that was stored for the key is of a type that keystay does not use',
      )
    }
    return this.#createKey({ query, uri, label, keyType, publicKey: Uint8Array.from(publicKey) })
  }

  async findKey(label: string, { signal }: CallOptions = {}): Promise<BackendKey | undefined> {
    this.#refuseClosed()
    try {
      return this.#createKey(await this.#findKey({ label }, signal))
    } catch (error) {
      if (error instanceof KeystayError && error.code === 'key_not_found') return undefined
      throw error
    }
  }

  async *listKeys({ labelPrefix = '', signal }: ListKeysOptions = {}): AsyncIterable<KeyListing> {
    this.#refuseClosed()
    const { token } = this.#connection
    const what = 'the token did not list its keys'
    const handles = await this.#run(what, signal, (attempt) =>
      token.findPrivateKeys(undefined, attempt),
    )
    const { epoch } = token
    for (let start = 0; start < handles.length; start += LISTING_BATCH) {
      const batch = handles.slice(start, start + LISTING_BATCH)
      const keys = await this.#run(what, signal, (attempt) =>
        token.withSession(attempt, (thread) => thread.call('readListing', batch)),
      )
      if (token.epoch !== epoch) {
        throw new KeystayError(
          'backend_unavailable',
          `${what}: the login was lost and made again meanwhile; list them again`,
        )
      }
      for (const key of keys) {
        if (key?.label?.startsWith(labelPrefix) ?? (key !== undefined && labelPrefix === '')) {
          const { id, label } = key
          yield {
            uri: formatKeyUri(token.identity, id, label),
            label,
            keyType: keyTypeOf(key),
            state: 'usable',
            createdAt: undefined,
          }
        }
      }
    }
  }

  async destroyKey(uri: string, { signal }: CallOptions = {}): Promise<KeyDestruction> {
    this.#refuseClosed()
    const { query } = this.#readKeyUri(uri)
    const { token } = this.#connection
    let attempts = 0
    const found = await this.#run('the token did not destroy the key', signal, (attempt) => {
      attempts++
      return token.destroy(query, attempt)
    })
    if (found.privateKeys > 1) {
      throw new KeystayError(
        'key_ambiguous',
        `token ${JSON.stringify(token.identity.label)} holds ${found.privateKeys} private keys that ${uri} names; none was destroyed: destroy them with the vendor's tools`,
      )
    }
    token.rememberHandle(query, undefined)
    // A second attempt finds nothing where the first one's answer was lost.
    if (found.privateKeys + found.publicKeys === 0 && attempts === 1) {
      throw new KeystayError('key_not_found', `${uri} names no key of the token`)
    }
    return { state: 'destroyed' }
  }

  diagnose(): AsyncIterable<DiagnosisStep> {
    this.#refuseClosed()
    return this.#diagnose()
  }

  close(): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#pending).then(() => this.#connection.release())
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #refuseClosed(): void {
    if (this.#closing !== undefined) {
      throw new KeystayError('backend_closed', `${this.uri} has been closed; open it again`)
    }
  }

  /** One call with its own time and memory of attempts; `close` waits for it. */
  async #run<T>(
    what: string,
    signal: AbortSignal | undefined,
    attempt: (attempt: Attempt) => Promise<T>,
    timeoutMs = this.#connection.settings.operationTimeoutMs,
  ): Promise<T> {
    this.#refuseClosed()
    const { token, settings } = this.#connection
    const pending = token.run(new Call(what, timeoutMs, signal), settings.access, attempt)
    this.#pending.add(pending)
    try {
      return await pending
    } finally {
      this.#pending.delete(pending)
    }
  }

  #readKeyUri(uri: string): { query: KeyQuery; label: string | undefined } {
    const address = parseKeyAddress(uri)
    const { info } = this.#connection.token
    const foreign =
      (address.token ?? info.label) !== info.label ||
      (address.serial ?? info.serial) !== info.serial ||
      (address.manufacturer ?? info.manufacturer) !== info.manufacturer ||
      (address.model ?? info.model) !== info.model
    if (foreign) {
      throw new KeystayError('key_uri_foreign', `${uri} is a key of another token than ${this.uri}`)
    }
    const { id, object: label } = address
    return id === undefined
      ? { query: { label: label ?? '' }, label }
      : { query: { id: Uint8Array.from(Buffer.from(id, 'hex')) }, label }
  }

  async #findKey(query: KeyQuery, signal: AbortSignal | undefined): Promise<FoundKey> {
    const { token } = this.#connection
    const attributes = await this.#run(
      'the token did not show the key',
      signal,
      async (attempt) => {
        const handle = await token.findHandle(query, attempt)
        return token.withSession(attempt, (thread) => thread.call('readKey', handle))
      },
    )
    const { id, label } = attributes
    const uri = formatKeyUri(token.identity, id, label)
    const { keyType, spki } = await readTokenPublicKey(attributes, uri)
    return { query: id === undefined ? query : { id }, uri, label, keyType, publicKey: spki }
  }

  #createKey({ query, uri, label, keyType, publicKey }: FoundKey): BackendKey {
    return {
      uri,
      label,
      keyType,
      publicKey,
      sign: (message, algorithm, options) =>
        this.#sign(query, keyType, message, algorithm, options),
      attest: (options) => this.#attest(query, options),
    }
  }

  async #sign(
    query: KeyQuery,
    keyType: KeyType,
    message: Uint8Array,
    algorithm: SignatureAlgorithm | undefined,
    { signal }: CallOptions = {},
  ): Promise<Uint8Array> {
    const { token } = this.#connection
    const plan = this.#planSigning(keyType, chooseSignatureAlgorithm(keyType, algorithm))
    const { mechanism, prepare, outputBytes, finish } = plan
    const input = prepare(message)
    const raw = await this.#run('the token did not sign', signal, async (attempt) => {
      const key = await token.findHandle(query, attempt)
      return token.sign({ key, mechanism, input, outputBytes }, attempt)
    })
    return finish(raw)
  }

  #planSigning(keyType: KeyType, algorithm: SignatureAlgorithm): SigningPlan {
    const name = `${keyType} ${algorithm}`
    const plan =
      this.#plans.get(name) ?? planSigning(keyType, algorithm, this.#connection.mechanisms)
    if (plan === undefined) {
      throw new KeystayError(
        'signature_algorithm_unsupported',
        `the token cannot sign by ${algorithm} with a ${keyType} key; it can by ${(this.#capabilities.signatureAlgorithms[keyType] ?? ['nothing']).join(', ')}`,
        { pointer: '/signature_algorithm' },
      )
    }
    this.#plans.set(name, plan)
    return plan
  }

  async #attest(query: KeyQuery, { signal }: CallOptions = {}): Promise<Attestation> {
    const { token } = this.#connection
    const claims = await this.#run(
      'the token did not say how it keeps the key',
      signal,
      async (attempt) => {
        const handle = await token.findHandle(query, attempt)
        return token.withSession(attempt, (thread) => thread.call('readClaims', handle))
      },
    )
    return createAttestation(claims, token.info)
  }
}
