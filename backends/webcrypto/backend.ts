import { keyTypeFacts, type KeyType } from '../../src/csr/algorithms.ts'
import type { CallOptions } from '../../src/csr/signing-key.ts'
import { KeystayError } from '../../src/errors.ts'
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
import { createCallGate, type CallGate } from '../../src/key/call-gate.ts'
import { checkLabel } from '../../src/key/label.ts'
import type { Keyring, StoredKey } from './keyring.ts'
import { openKey, type KeyInUse } from './key.ts'
import { supportedKeyTypes } from './key-types.ts'
import { formatKeyUri, formatWebCryptoUri, parseWebCryptoKeyUri } from './uri.ts'

/** Keys of WebCrypto, kept by a keyring. */
export class WebCryptoBackend implements DiagnosableBackend {
  readonly scheme = 'webcrypto'
  readonly uri: string
  readonly address: string | undefined
  readonly #keyring: Keyring
  readonly #gate: CallGate
  readonly #diagnose: () => AsyncGenerator<DiagnosisStep, void>
  /** Every key that was used, by id, so that signing with it again costs nothing but that. */
  readonly #keys = new Map<string, Promise<KeyInUse>>()
  #supported: Promise<readonly KeyType[]> | undefined

  constructor(
    keyring: Keyring,
    address: string | undefined,
    diagnose: () => AsyncGenerator<DiagnosisStep, void>,
  ) {
    this.address = address
    this.#keyring = keyring
    this.#diagnose = diagnose
    this.uri = formatWebCryptoUri(keyring.directory)
    this.#gate = createCallGate(
      () =>
        new KeystayError(
          'backend_closed',
          `the backend ${this.uri} has been closed; open it again`,
        ),
    )
  }

  async capabilities({ signal }: CallOptions = {}): Promise<BackendCapabilities> {
    return this.#gate.run(signal, async () => {
      const keyTypes = await this.#supportedKeyTypes()
      return {
        keyTypes,
        signatureAlgorithms: Object.fromEntries(
          keyTypes.map((keyType) => [keyType, keyTypeFacts(keyType).signatureAlgorithms]),
        ),
        deletion: 'immediate',
        durable: this.#keyring.directory !== undefined,
        uniqueLabels: true,
      }
    })
  }

  async generateKey(keyType: KeyType, { label, signal }: GenerateKeyOptions): Promise<BackendKey> {
    return this.#gate.run(signal, async () => {
      checkLabel(label)
      keyTypeFacts(keyType)
      const supported = await this.#supportedKeyTypes()
      if (!supported.includes(keyType)) {
        throw new KeystayError(
          'key_type_unsupported',
          `the WebCrypto of this runtime has no ${keyType}; use one of ${supported.join(', ')}`,
          { pointer: '/key_type' },
        )
      }
      return this.#use(await this.#keyring.generate(keyType, label, signal))
    })
  }

  async getKey(uri: string, { signal }: GetKeyOptions = {}): Promise<BackendKey> {
    return this.#gate.run(signal, async () => {
      const id = parseWebCryptoKeyUri(uri, this.#keyring.name)
      const inUse = this.#keys.get(id)
      // Another process may have destroyed it.
      if (inUse !== undefined && (await this.#keyring.has(id))) return (await inUse).key
      const stored = await this.#keyring.read(id)
      if (stored === undefined) throw await this.#forget(id)
      return this.#use(stored)
    })
  }

  async findKey(label: string, { signal }: CallOptions = {}): Promise<BackendKey | undefined> {
    return this.#gate.run(signal, async () => {
      checkLabel(label)
      const stored = await this.#keyring.find(label)
      return stored && this.#use(stored)
    })
  }

  async *listKeys({ labelPrefix = '', signal }: ListKeysOptions = {}): AsyncGenerator<KeyListing> {
    this.#gate.check(signal)
    for await (const { id, label, keyType, state, createdAt } of this.#keyring.list()) {
      this.#gate.check(signal)
      if (label === undefined ? labelPrefix !== '' : !label.startsWith(labelPrefix)) continue
      yield { uri: formatKeyUri(this.#keyring.name, id), label, keyType, state, createdAt }
    }
  }

  async destroyKey(uri: string, { signal }: CallOptions = {}): Promise<KeyDestruction> {
    return this.#gate.run(signal, async () => {
      const id = parseWebCryptoKeyUri(uri, this.#keyring.name)
      const removed = await this.#keyring.remove(id)
      const notFound = await this.#forget(id)
      if (!removed) throw notFound
      return { state: 'destroyed' }
    })
  }

  async *diagnose({ signal }: CallOptions = {}): AsyncGenerator<DiagnosisStep, void> {
    for await (const step of this.#diagnose()) {
      this.#gate.check(signal)
      yield step
    }
  }

  async close(): Promise<void> {
    await this.#gate.close()
    this.#keys.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #use(stored: StoredKey): Promise<BackendKey> {
    let inUse = this.#keys.get(stored.id)
    if (inUse === undefined) {
      inUse = openKey(stored, this.#keyring.name, this.#gate)
      this.#keys.set(stored.id, inUse)
      // A failure is not remembered.
      inUse.catch(() => this.#keys.delete(stored.id))
    }
    return (await inUse).key
  }

  async #supportedKeyTypes(): Promise<readonly KeyType[]> {
    this.#supported ??= supportedKeyTypes()
    return this.#supported
  }

  /** Has the handles of a key that is no more refuse to sign, and answers why. */
  async #forget(id: string): Promise<KeystayError> {
    const why = this.#keyring.directory === undefined ? ' (its keys die with the process)' : ''
    const notFound = new KeystayError('key_not_found', `there is no key ${id} in ${this.uri}${why}`)
    const inUse = this.#keys.get(id)
    this.#keys.delete(id)
    await inUse?.then(
      ({ forget }) => {
        forget(notFound)
      },
      () => undefined,
    )
    return notFound
  }
}
