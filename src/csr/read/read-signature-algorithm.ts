import { SIGNATURE_ALGORITHMS, SIGNATURE_ALGORITHM_NAMES } from '../algorithms.ts'
import type { SignatureAlgorithm } from '../algorithms.ts'
import { contentOf, readChildren, readSingle, readSmallInteger } from '../der/der-reader.ts'
import { sameBytes } from '../der/bytes.ts'

/** A signature algorithm that keystay knows, and the salt of a PSS signature. */
export interface ReadAlgorithm {
  readonly name: SignatureAlgorithm
  readonly saltLength: number | undefined
}

/** RFC 4055 section 3.1. */
const DEFAULT_SALT_LENGTH = 20

/**
 * The algorithm that an AlgorithmIdentifier names; `undefined` where it is not one of ours.
 * @throws {KeystayError} `der_invalid`
 */
export function readSignatureAlgorithm(identifier: Uint8Array): ReadAlgorithm | undefined {
  const name = SIGNATURE_ALGORITHM_NAMES.find((algorithm) =>
    sameBytes(SIGNATURE_ALGORITHMS[algorithm].identifier, identifier),
  )
  return name === undefined ? readPss(identifier) : { name, saltLength: undefined }
}

/** A PSS identifier (RFC 4055 section 3.1) that differs from ours in the salt's length only. */
function readPss(identifier: Uint8Array): ReadAlgorithm | undefined {
  const [, parameters] = readChildren(identifier, readSingle(identifier))
  if (parameters?.tag !== 0x30) return undefined
  const children = readChildren(identifier, parameters)
  const salt = children.at(-1)?.tag === 0xa2 ? children.pop() : undefined
  const hashes = identifier.subarray(parameters.contentStart, children.at(-1)?.end)
  const name = SIGNATURE_ALGORITHM_NAMES.find((algorithm) => {
    const { scheme, identifier: ours } = SIGNATURE_ALGORITHMS[algorithm]
    return scheme === 'rsa-pss' && sameBytes(ours.subarray(15, -5), hashes)
  })
  if (name === undefined) return undefined
  if (salt === undefined) return { name, saltLength: DEFAULT_SALT_LENGTH }
  const length = contentOf(identifier, salt)
  return { name, saltLength: readSmallInteger(length, readSingle(length)) }
}
