import {
  chooseSignatureAlgorithm,
  KEY_TYPES,
  type KeyType,
  type SignatureAlgorithm,
} from '../../src/csr/algorithms.ts'
import { encodeEcdsaSignature } from '../../src/csr/signature-value.ts'
import { KeystayError } from '../../src/errors.ts'
import type { Attestation } from '../../src/key/attestation.ts'
import type { BackendKey } from '../../src/key/backend.ts'
import type { CallGate } from '../../src/key/call-gate.ts'
import type { Sign, StoredKey } from './keyring.ts'
import { formatKeyUri } from './uri.ts'

/** A key in use. */
export interface KeyInUse {
  readonly key: BackendKey
  /** Has the key refuse to sign from now on. @param why thrown instead */
  readonly forget: (why: KeystayError) => void
}

const NO_BOUNDARY =
  'the private key is in the memory of this process while it is in use: whoever can run code in the process, or read its memory, can copy the key'
const SUPPLIED = 'the CryptoKey was supplied by the caller: how it is kept is not known here'
const EXTRACTABLE = 'the CryptoKey is extractable: create it with extractable = false'

/**
 * Opens a key for what it is for, so that a damaged one is found out before it is to sign.
 * @throws {KeystayError} `keyring_damaged`
 */
export async function openKey(
  stored: StoredKey,
  keyring: string,
  gate: CallGate,
): Promise<KeyInUse> {
  const { label, keyType, publicKey } = stored
  const { coordinateBytes } = KEY_TYPES[keyType]
  const signers = new Map<SignatureAlgorithm, Sign>()
  let gone: KeystayError | undefined

  const open = async (algorithm: SignatureAlgorithm): Promise<Sign> => {
    const signer = await stored.open(algorithm)
    signers.set(algorithm, signer)
    return signer
  }
  const sign = async (message: Uint8Array, algorithm?: SignatureAlgorithm): Promise<Uint8Array> => {
    const chosen = chooseSignatureAlgorithm(keyType, algorithm)
    if (gone !== undefined) throw gone
    refuseUnsupported(keyType, chosen, stored.algorithms)
    const signer = signers.get(chosen) ?? (await open(chosen))
    const value = new Uint8Array(await signer(withoutSharing(message)))
    // WebCrypto answers r and s side by side.
    return coordinateBytes === undefined ? value : encodeEcdsaSignature(value, coordinateBytes)
  }
  await open(stored.algorithms[0])

  const key: BackendKey = {
    ...{ uri: formatKeyUri(keyring, stored.id), label, keyType, publicKey },
    sign: (message, algorithm, options) =>
      gate.run(options?.signal, () => sign(message, algorithm)),
    attest: (options) => gate.run(options?.signal, async () => attestationOf(stored)),
  }
  const forget = (why: KeystayError): void => {
    gone = why
    signers.clear()
  }
  return { key, forget }
}

function attestationOf({ storage, extractable }: StoredKey): Attestation {
  const supplied = storage === 'supplied by the caller'
  return {
    level: 'software',
    backend: 'webcrypto',
    claims: { storage, extractable },
    concerns: [supplied ? SUPPLIED : NO_BOUNDARY, ...(extractable ? [EXTRACTABLE] : [])],
    observedAt: new Date(),
  }
}

/** WebCrypto refuses memory that is shared with other threads: that is copied. */
function withoutSharing(message: Uint8Array): Uint8Array<ArrayBuffer> {
  return isUnshared(message) ? message : new Uint8Array(message)
}

function isUnshared(message: Uint8Array): message is Uint8Array<ArrayBuffer> {
  return message.buffer instanceof ArrayBuffer
}

function refuseUnsupported(
  keyType: KeyType,
  algorithm: SignatureAlgorithm,
  algorithms: readonly SignatureAlgorithm[],
): void {
  if (algorithms.includes(algorithm)) return
  throw new KeystayError(
    'signature_algorithm_unsupported',
    `this ${keyType} key is bound to ${algorithms.join(', ')} and cannot sign by ${algorithm}`,
    { pointer: '/signature_algorithm' },
  )
}
