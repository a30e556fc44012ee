import {
  createDerWriter,
  finishDer,
  sortSetOf,
  writeBitString,
  writeBytes,
  writeElement,
  writeHeader,
  writeString,
  type DerWriter,
} from '../der/der-writer.ts'
import { EXTENSION_OIDS, type CheckedExtension } from './extensions.ts'
import { encodeOid } from '../der/oid.ts'
import type { CheckedRequest } from './request.ts'
import { writeSubjectAltNames } from './subject-alt-names.ts'
import { writeSubject } from './subject.ts'

const SUBJECT_ALT_NAME = encodeOid(EXTENSION_OIDS.subjectAltName)
const EXTENSION_REQUEST = encodeOid('1.2.840.113549.1.9.14')
const CHALLENGE_PASSWORD = encodeOid('1.2.840.113549.1.9.7')
const VERSION_1 = Uint8Array.of(0x02, 0x01, 0x00)

/**
 * The buffer in which requests are put together, one after the other: encoding is synchronous, and
 * allocating a buffer costs as much as filling it.
 */
let scratch: DerWriter | undefined

function startWriting(): DerWriter {
  scratch ??= createDerWriter(4096)
  scratch.length = 0
  return scratch
}

/**
 * Encodes a CertificationRequestInfo (RFC 2986 section 4.1), the part that is signed.
 * @param spki SubjectPublicKeyInfo, DER
 */
export function encodeRequestInfo(request: CheckedRequest, spki: Uint8Array): Uint8Array {
  const writer = startWriting()
  writeAttributes(writer, request)
  writeBytes(writer, spki)
  writeSubject(writer, request.subject)
  writeBytes(writer, VERSION_1)
  writeHeader(writer, 0x30, 0)
  return finishDer(writer)
}

/**
 * Encodes a CertificationRequest (RFC 2986 section 4.2).
 * @param info as `encodeRequestInfo` made it
 * @param algorithm DER of the signature's AlgorithmIdentifier
 */
export function encodeSignedRequest(
  info: Uint8Array,
  algorithm: Uint8Array,
  signature: Uint8Array,
): Uint8Array {
  const writer = startWriting()
  writeBitString(writer, signature)
  writeBytes(writer, algorithm)
  writeBytes(writer, info)
  writeHeader(writer, 0x30, 0)
  return finishDer(writer)
}

/** `[0]` stands there even when nothing is in it: RFC 2986 does not make it optional. */
function writeAttributes(writer: DerWriter, request: CheckedRequest): void {
  const { challengePassword, sans, extensions } = request
  const end = writer.length
  const asksExtensions = sans.length > 0 || extensions.length > 0
  if (asksExtensions) writeExtensionRequest(writer, request)
  if (challengePassword !== undefined) {
    const attributeEnd = writer.length
    writeString(writer, challengePassword.tag, challengePassword.value)
    writeHeader(writer, 0x31, attributeEnd)
    writeBytes(writer, CHALLENGE_PASSWORD)
    writeHeader(writer, 0x30, attributeEnd)
    if (asksExtensions) sortSetOf(writer, end)
  }
  writeHeader(writer, 0xa0, end)
}

/** RFC 2985 section 5.4.2: one value, the list of extensions. */
function writeExtensionRequest(
  writer: DerWriter,
  { subject, sans, extensions }: CheckedRequest,
): void {
  const end = writer.length
  for (let index = extensions.length - 1; index >= 0; index--) {
    const { oidDer, critical, value } = extensions[index] as CheckedExtension
    const extensionEnd = writer.length
    writeBytes(writer, value)
    finishExtension(writer, oidDer, critical, extensionEnd)
  }
  if (sans.length > 0) {
    const extensionEnd = writer.length
    writeSubjectAltNames(writer, sans)
    // RFC 5280 section 4.2.1.6: critical where it is all that names the subject.
    finishExtension(writer, SUBJECT_ALT_NAME, subject.length === 0, extensionEnd)
  }
  writeHeader(writer, 0x30, end)
  writeHeader(writer, 0x31, end)
  writeBytes(writer, EXTENSION_REQUEST)
  writeHeader(writer, 0x30, end)
}

/** Puts around a value what makes it an Extension (RFC 5280 section 4.1). */
function finishExtension(
  writer: DerWriter,
  oidDer: Uint8Array,
  critical: boolean,
  end: number,
): void {
  writeHeader(writer, 0x04, end)
  // DEFAULT FALSE is not written (X.690 section 11.5).
  if (critical) writeElement(writer, 0x01, Uint8Array.of(0xff))
  writeBytes(writer, oidDer)
  writeHeader(writer, 0x30, end)
}
