import { KeystayError } from '../errors.ts'
import {
  SIGNATURE_ALGORITHMS,
  chooseSignatureAlgorithm,
  type SignatureAlgorithm,
} from './algorithms.ts'
import { encodeRequestInfo, encodeSignedRequest } from './request/encode-request.ts'
import { encodePem } from './pem.ts'
import { checkRequest, type CheckedRequest, type CsrRequest } from './request/request.ts'
import type { CallOptions, SigningKey } from './signing-key.ts'
import type { ConvertedName } from './request/subject-alt-names.ts'
import { verificationKeyOf, verifyWith } from './verify-signature.ts'

/** How a request is to be signed. */
export interface SignOptions extends CallOptions {
  /** Default: the one that fits the key type, first in its line of `KEY_TYPES`. */
  readonly signatureAlgorithm?: SignatureAlgorithm | undefined
}

/** A signed and verified certificate signing request. */
export interface Csr {
  /** CertificationRequest (RFC 2986 section 4.2). */
  readonly der: Uint8Array
  /** The same as PEM (RFC 7468 section 7), with a final line end. */
  readonly pem: string
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array
  readonly signatureAlgorithm: SignatureAlgorithm
  /** The international names that were converted; empty unless the request asked for it. */
  readonly convertedNames: readonly ConvertedName[]
}

/**
 * A PKCS#10 request (RFC 2986) that any key can sign, as often as one likes.
 *
 * @example
 * ```ts
 * const csr = await new CsrBuilder({
 *   subject: { country: 'US', organization: 'City of Boston', commonName: 'app.example.com' },
 *   sans: ['app.example.com', { ip: '192.0.2.1' }],
 * }).sign(key)
 * console.log(csr.pem)
 * ```
 */
export class CsrBuilder {
  readonly #request: CheckedRequest

  /**
   * Checks the whole request, before any key need exist.
   * @throws {KeystayError} with the code of what is wrong, and `pointer` to where
   */
  constructor(request: CsrRequest) {
    this.#request = checkRequest(request)
  }

  /**
   * Encodes the request with the key's public half, has the key sign it, and verifies the
   * signature before anybody sees it.
   * @throws {KeystayError} `signature_algorithm_unknown`, `signature_algorithm_mismatch`,
   *   `key_type_mismatch`, `csr_verification_failed`, and what the key's own `sign` throws
   */
  async sign(key: SigningKey, options: SignOptions = {}): Promise<Csr> {
    const { publicKey } = key
    const algorithm = chooseSignatureAlgorithm(key.keyType, options.signatureAlgorithm)
    const verificationKey = await verificationKeyOf(key, algorithm)
    const info = encodeRequestInfo(this.#request, publicKey)
    const signature = await key.sign(info, algorithm, { signal: options.signal })
    if (!(await verifyWith(verificationKey, info, signature))) {
      throw new KeystayError(
        'csr_verification_failed',
        `the signature that the key gave does not verify as ${algorithm} under its public key; the device signed with another key, or other bytes`,
      )
    }
    const der = encodeSignedRequest(info, SIGNATURE_ALGORITHMS[algorithm].identifier, signature)
    return {
      der,
      pem: encodePem('CERTIFICATE REQUEST', der),
      publicKey,
      signatureAlgorithm: algorithm,
      convertedNames: this.#request.convertedNames,
    }
  }
}
