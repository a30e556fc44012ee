import { KeystayError } from '../errors.ts'
import { oidName } from './read/oid-names.ts'
import { readCsrInput } from './read/read-csr-input.ts'
import { readCsr, type CsrContent, type CsrSignature } from './read/read-csr.ts'
import { readSignatureAlgorithm, type ReadAlgorithm } from './read/read-signature-algorithm.ts'
import { importVerificationKey, verifyWith } from './verify-signature.ts'

/** The signature of a request, and whether it is the key's. */
export interface ParsedSignature {
  /** keystay's name, else the registered one, else the dotted OID. */
  readonly algorithm: string
  /** Dotted. */
  readonly oid: string
  readonly value: Uint8Array
  /** `unsupported`: nothing is known of it, because the algorithm or the key cannot be checked. */
  readonly status: 'valid' | 'invalid' | 'unsupported'
  /** Why it is not `valid`. */
  readonly reason: string | undefined
}

/** All that a request says, and whether its key signed it. */
export interface ParsedCsr extends CsrContent {
  readonly signature: ParsedSignature
}

/**
 * Reads a certificate signing request (RFC 2986) strictly, and verifies its signature. Whatever it
 * holds is shown, known or not.
 * @param input PEM with anything around the block, base64 without one, or DER
 * @throws {KeystayError} `csr_…`, `pem_invalid`, `der_invalid`
 */
export async function parseCsr(input: string | Uint8Array): Promise<ParsedCsr> {
  const { content, signature } = readCsr(readCsrInput(input))
  const { oid, value } = signature
  const algorithm = readSignatureAlgorithm(signature.identifier)
  const name = algorithm?.name ?? oidName(oid) ?? oid
  const verdict = await verify(content.publicKey.spki, algorithm, signature)
  return { ...content, signature: { algorithm: name, oid, value, ...verdict } }
}

async function verify(
  spki: Uint8Array,
  algorithm: ReadAlgorithm | undefined,
  { info, value }: CsrSignature,
): Promise<Pick<ParsedSignature, 'status' | 'reason'>> {
  if (algorithm === undefined) {
    return { status: 'unsupported', reason: 'the signature algorithm is not one that is verified' }
  }
  try {
    const key = await importVerificationKey(spki, algorithm.name)
    return (await verifyWith(key, info, value, algorithm.saltLength))
      ? { status: 'valid', reason: undefined }
      : { status: 'invalid', reason: 'the signature is not that of this request under its key' }
  } catch (error) {
    if (!(error instanceof KeystayError)) throw error
    const status = error.code.endsWith('_unsupported') ? 'unsupported' : 'invalid'
    return { status, reason: error.message }
  }
}
