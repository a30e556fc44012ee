import {
  createDerWriter,
  finishDer,
  writeByte,
  writeBytes,
  writeElement,
  writeHeader,
  writeUnsignedInteger,
  type DerWriter,
} from '../der/der-writer.ts'
import { encodeOid } from '../der/oid.ts'
import {
  checkArray,
  checkDerElement,
  checkObject,
  checkText,
  refuse,
  refuseRest,
  show,
} from '../checks.ts'

/** The bits of keyUsage, in their order (RFC 5280 section 4.2.1.3). */
export const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const

/** A purpose of the key. `nonRepudiation` is what newer editions call contentCommitment. */
export type KeyUsage = (typeof KEY_USAGES)[number]

/** The purposes that have a name (RFC 5280 section 4.2.1.12, RFC 4945, RFC 9336, Microsoft). */
export const EXT_KEY_USAGES = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  OCSPSigning: '1.3.6.1.5.5.7.3.9',
  ipsecIKE: '1.3.6.1.5.5.7.3.17',
  documentSigning: '1.3.6.1.5.5.7.3.36',
  anyExtendedKeyUsage: '2.5.29.37.0',
  smartcardLogon: '1.3.6.1.4.1.311.20.2.2',
} as const

/** A purpose by name or by dotted OID. */
export type ExtKeyUsage = keyof typeof EXT_KEY_USAGES | `${number}.${string}`

/** The TLS extensions that a certificate can demand (RFC 7633), by name. */
export const TLS_FEATURES = { status_request: 5, status_request_v2: 17 } as const

/** A TLS extension by name or number; `status_request` is known as must-staple. */
export type TlsFeature = keyof typeof TLS_FEATURES | number

export interface BasicConstraints {
  readonly ca: boolean
  /** The most CA certificates that may follow below; for a CA only. */
  readonly pathLen?: number | undefined
}

/** An extension given as it is to be written. */
export interface RawExtension {
  /** Dotted. */
  readonly oid: string
  /** Default `false`. */
  readonly critical?: boolean | undefined
  /** The content of `extnValue`: one DER element. */
  readonly value: Uint8Array
}

/** What a request can ask for beside its names. */
export interface RequestedExtensions {
  /** Written as critical (RFC 5280 section 4.2.1.3). */
  readonly keyUsage?: readonly KeyUsage[] | undefined
  readonly extKeyUsage?: readonly ExtKeyUsage[] | undefined
  /** Written as critical (RFC 5280 section 4.2.1.9, Baseline Requirements 7.1.2.7.6). */
  readonly basicConstraints?: BasicConstraints | undefined
  /** `['status_request']` is must-staple. */
  readonly tlsFeature?: readonly TlsFeature[] | undefined
  /** The name of a version 1 template of Microsoft's Certificate Services. */
  readonly certificateTemplateName?: string | undefined
  /** Any other, in this order. */
  readonly extensions?: readonly RawExtension[] | undefined
}

/** A checked extension: its OID and its value, both DER. */
export interface CheckedExtension {
  readonly oidDer: Uint8Array
  readonly critical: boolean
  readonly value: Uint8Array
}

/** The extensions that keystay can name. */
export const EXTENSION_OIDS = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extKeyUsage: '2.5.29.37',
  tlsFeature: '1.3.6.1.5.5.7.1.24',
  certificateTemplateName: '1.3.6.1.4.1.311.20.2',
} as const

/**
 * Checks and encodes all extensions but subjectAltName.
 * @throws {KeystayError} `field_invalid`, `key_usage_unknown`, `ext_key_usage_unknown`,
 *   `basic_constraints_invalid`, `tls_feature_unknown`, `extension_…`, `text_…`, `oid_invalid`
 */
export function checkExtensions(asked: RequestedExtensions): CheckedExtension[] {
  const { keyUsage, extKeyUsage, basicConstraints, tlsFeature, certificateTemplateName } = asked
  const checked: CheckedExtension[] = []
  const add = (name: keyof typeof EXTENSION_OIDS, critical: boolean, value: Uint8Array): void => {
    checked.push({ oidDer: encodeOid(EXTENSION_OIDS[name]), critical, value })
  }
  if (basicConstraints !== undefined) {
    add('basicConstraints', true, encodeBasicConstraints(basicConstraints))
  }
  if (keyUsage !== undefined) add('keyUsage', true, encodeKeyUsage(keyUsage))
  if (extKeyUsage !== undefined) add('extKeyUsage', false, encodeExtKeyUsage(extKeyUsage))
  if (tlsFeature !== undefined) add('tlsFeature', false, encodeTlsFeature(tlsFeature))
  if (certificateTemplateName !== undefined) {
    add('certificateTemplateName', false, encodeTemplateName(certificateTemplateName))
  }
  if (asked.extensions !== undefined) checkRawExtensions(asked.extensions, checked)
  return checked
}

/** The values of an extension that is a list: at least one, none twice. */
function checkList<Value, Identity>(
  values: readonly Value[],
  pointer: string,
  identify: (value: Value, pointer: string) => Identity,
): Identity[] {
  checkArray(values, pointer)
  if (values.length === 0) {
    refuse('extension_values_empty', pointer, `${pointer} is empty; leave it out instead`)
  }
  const seen = new Set<Identity>()
  for (const [index, value] of values.entries()) {
    seen.add(identify(value, `${pointer}/${index}`))
    if (seen.size === index) {
      refuse(
        'extension_values_repeated',
        `${pointer}/${index}`,
        `${pointer}/${index} repeats ${show(value)}; name it once`,
      )
    }
  }
  return [...seen]
}

function encodeKeyUsage(usages: readonly KeyUsage[]): Uint8Array {
  const bits = checkList(usages, '/keyUsage', (usage, pointer) => {
    const bit = KEY_USAGES.indexOf(usage)
    if (bit === -1) {
      refuse(
        'key_usage_unknown',
        pointer,
        `key usage ${show(usage)} is not known; use ${KEY_USAGES.join(', ')}`,
      )
    }
    return bit
  })
  const highest = Math.max(...bits)
  // X.690 section 11.2.2: a list of named bits ends with its last one that is set.
  const octets = new Uint8Array(2 + (highest >> 3))
  octets[0] = 7 - (highest & 7)
  for (const bit of bits) {
    const at = 1 + (bit >> 3)
    octets[at] = (octets[at] ?? 0) | (0x80 >> (bit & 7))
  }
  return element(0x03, (writer) => {
    writeBytes(writer, octets)
  })
}

function encodeExtKeyUsage(usages: readonly ExtKeyUsage[]): Uint8Array {
  const oids = checkList(usages, '/extKeyUsage', (usage, pointer): string => {
    if (Object.hasOwn(EXT_KEY_USAGES, usage)) {
      return EXT_KEY_USAGES[usage as keyof typeof EXT_KEY_USAGES]
    }
    if (typeof usage !== 'string' || !/^\d/.test(usage)) {
      refuse(
        'ext_key_usage_unknown',
        pointer,
        `extended key usage ${show(usage)} is not known; use ${Object.keys(EXT_KEY_USAGES).join(', ')} or a dotted OID`,
      )
    }
    encodeOid(usage, pointer)
    return usage
  })
  return element(0x30, (writer) => {
    for (const oid of oids.reverse()) writeBytes(writer, encodeOid(oid))
  })
}

function encodeBasicConstraints(constraints: BasicConstraints): Uint8Array {
  const pointer = '/basicConstraints'
  checkObject(constraints, pointer, '{ca, pathLen?}')
  const { ca, pathLen, ...rest } = constraints as BasicConstraints
  refuseRest(rest, pointer, 'ca, pathLen')
  if (typeof ca !== 'boolean') {
    refuse('basic_constraints_invalid', `${pointer}/ca`, `${pointer}/ca must be true or false`)
  }
  if (
    pathLen !== undefined &&
    (!ca || !Number.isInteger(pathLen) || pathLen < 0 || pathLen > 255)
  ) {
    refuse(
      'basic_constraints_invalid',
      `${pointer}/pathLen`,
      `${pointer}/pathLen is a whole number from 0 to 255, and only for a CA`,
    )
  }
  return element(0x30, (writer) => {
    if (pathLen !== undefined) writeUnsignedInteger(writer, Uint8Array.of(pathLen))
    // DEFAULT FALSE is not written (X.690 section 11.5).
    if (ca) writeElement(writer, 0x01, Uint8Array.of(0xff))
  })
}

function encodeTlsFeature(features: readonly TlsFeature[]): Uint8Array {
  const numbers = checkList(features, '/tlsFeature', (feature, pointer): number => {
    const number = Object.hasOwn(TLS_FEATURES, feature)
      ? TLS_FEATURES[feature as keyof typeof TLS_FEATURES]
      : feature
    if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number > 0xffff) {
      refuse(
        'tls_feature_unknown',
        pointer,
        `TLS feature ${show(feature)} is not known; use ${Object.keys(TLS_FEATURES).join(', ')} or a number up to 65535`,
      )
    }
    return number
  })
  return element(0x30, (writer) => {
    for (const number of numbers.reverse()) {
      writeUnsignedInteger(writer, Uint8Array.of(number >> 8, number & 0xff))
    }
  })
}

/** BMPString: two octets a character, none beyond the Basic Multilingual Plane. */
function encodeTemplateName(name: string): Uint8Array {
  const pointer = '/certificateTemplateName'
  checkText(name, pointer, 255)
  if (/[\ud800-\udfff]/.test(name)) {
    refuse('text_not_bmp', pointer, `${pointer} has a character that a BMPString cannot hold`)
  }
  return element(0x1e, (writer) => {
    for (let index = name.length - 1; index >= 0; index--) {
      writeByte(writer, name.charCodeAt(index) & 0xff)
      writeByte(writer, name.charCodeAt(index) >> 8)
    }
  })
}

function element(tag: number, writeContent: (writer: DerWriter) => void): Uint8Array {
  const writer = createDerWriter(64)
  writeContent(writer)
  writeHeader(writer, tag, 0)
  return finishDer(writer)
}

function checkRawExtensions(raw: unknown, checked: CheckedExtension[]): void {
  checkArray(raw, '/extensions')
  const seen = new Set(checked.map(({ oidDer }) => oidDer.join()))
  for (const [index, extension] of raw.entries()) {
    const pointer = `/extensions/${index}`
    const result = checkRawExtension(extension, pointer)
    if (seen.has(result.oidDer.join())) {
      refuse(
        'extension_repeated',
        pointer,
        `${pointer} gives an extension for the second time; give it once`,
      )
    }
    seen.add(result.oidDer.join())
    checked.push(result)
  }
}

function checkRawExtension(extension: unknown, pointer: string): CheckedExtension {
  checkObject(extension, pointer, '{oid, critical?, value}')
  const { oid, critical = false, value, ...rest } = extension
  refuseRest(rest, pointer, 'oid, critical, value')
  if (typeof critical !== 'boolean') {
    refuse('field_invalid', `${pointer}/critical`, `${pointer}/critical must be true or false`)
  }
  const oidDer = encodeOid(oid, `${pointer}/oid`)
  if (oid === EXTENSION_OIDS.subjectAltName) {
    refuse('extension_reserved', `${pointer}/oid`, 'subjectAltName is given as sans')
  }
  return {
    oidDer,
    critical,
    value: checkDerElement(value, 'extension_value_invalid', `${pointer}/value`),
  }
}
