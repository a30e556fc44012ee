import type { KeyMetadata } from '@aws-sdk/client-kms'
import {
  SIGNATURE_ALGORITHMS,
  type KeyType,
  type SignatureAlgorithm,
} from '../../src/csr/algorithms.ts'
import type { CallOptions } from '../../src/csr/signing-key.ts'
import { KeystayError } from '../../src/errors.ts'
import type { Attestation } from '../../src/key/attestation.ts'
import type { BackendKey } from '../../src/key/backend.ts'
import { chooseSigningAlgorithm, MAX_RAW_BYTES } from './algorithms.ts'
import { attestationFrom, customHostOf } from './attestation.ts'
import type { KmsConnection } from './connection.ts'
import { callAboutKey, type KeyHandle } from './settling.ts'

/** What a key of this backend is made of. */
export interface KmsKeyParts {
  readonly connection: KmsConnection
  readonly handle: KeyHandle
  readonly uri: string
  readonly keyType: KeyType
  readonly publicKey: Uint8Array
  readonly label?: string | undefined
  /** What CreateKey answered; spares asking for it. */
  readonly metadata?: KeyMetadata | undefined
}

/** A key that signs by one Sign call. */
export function createKmsKey(parts: KmsKeyParts): BackendKey {
  const { connection, handle, uri, keyType, publicKey, label, metadata } = parts

  async function sign(
    message: Uint8Array,
    algorithm?: SignatureAlgorithm,
    options?: CallOptions,
  ): Promise<Uint8Array> {
    const chosen = chooseSigningAlgorithm(keyType, algorithm)
    return connection.run(options, async (signal) => {
      const input = {
        KeyId: handle.keyId,
        SigningAlgorithm: chosen.signingAlgorithm,
        ...(await prepareMessage(message, chosen.algorithm)),
      }
      const { Signature } = await callAboutKey(connection, handle, signal, () =>
        connection.call('Sign', input, signal),
      )
      if (Signature === undefined) {
        throw new KeystayError('backend_unavailable', 'AWS KMS answered no signature; try again')
      }
      return new Uint8Array(Signature)
    })
  }

  async function attest(options?: CallOptions): Promise<Attestation> {
    return connection.run(options, async (signal) => {
      const known = metadata ?? (await describe(signal))
      return attestationFrom(known, customHostOf(connection.host))
    })
  }

  async function describe(signal: AbortSignal | undefined): Promise<KeyMetadata> {
    const { KeyMetadata } = await callAboutKey(connection, handle, signal, () =>
      connection.call('DescribeKey', { KeyId: handle.keyId }, signal),
    )
    return KeyMetadata ?? { KeyId: handle.keyId }
  }

  return { uri, keyType, publicKey, label, sign, attest }
}

/** The message as it is, or its digest where Sign would not take so much. */
async function prepareMessage(
  message: Uint8Array,
  algorithm: SignatureAlgorithm,
): Promise<{ Message: Uint8Array; MessageType: 'RAW' | 'DIGEST' }> {
  if (message.length <= MAX_RAW_BYTES) return { Message: message, MessageType: 'RAW' }
  const { hash } = SIGNATURE_ALGORITHMS[algorithm]
  if (hash === undefined) {
    throw new KeystayError(
      'message_too_long',
      `AWS KMS signs at most ${MAX_RAW_BYTES} bytes with ${algorithm}, and this message has ${message.length}; ask for fewer names, or use an RSA or NIST curve key`,
    )
  }
  const digest = await crypto.subtle.digest(hash, new Uint8Array(message))
  return { Message: new Uint8Array(digest), MessageType: 'DIGEST' }
}
