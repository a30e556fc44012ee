import { KEY_TYPES, type KeyType } from '../../src/csr/algorithms.ts'
import { CKA, CKK } from './cryptoki.ts'
import type { TemplateAttribute } from './driver.ts'

/** The attributes that a key pair is generated with. */
export interface KeyTemplate {
  readonly publicKey: readonly TemplateAttribute[]
  readonly privateKey: readonly TemplateAttribute[]
}

/** Changes a template before the token sees it. CKA_ID, CKA_LABEL and CKA_TOKEN must stay. */
export type TemplateHook = (template: KeyTemplate, keyType: KeyType) => KeyTemplate

/** A vendor whose tokens are known to want something else. */
export type VendorProfile = 'generic' | 'cloudhsm' | 'yubihsm'

interface ProfileFacts {
  /** CKA_PRIVATE of the public half. */
  readonly privatePublicKey: boolean
  /** Whether CKR_GENERAL_ERROR and CKR_FUNCTION_FAILED may mean that the device was lost. */
  readonly vagueErrors: boolean
}

/** What each profile changes. */
export const VENDOR_PROFILES: Readonly<Record<VendorProfile, ProfileFacts>> = {
  generic: { privatePublicKey: false, vagueErrors: false },
  // AWS CloudHSM demands CKA_PRIVATE of both halves (OpenSC/OpenSC issue 2747).
  cloudhsm: { privatePublicKey: true, vagueErrors: true },
  // YubiHSM 2 answers CKR_FUNCTION_FAILED when its connector was away (yubihsm-shell issue 541).
  yubihsm: { privatePublicKey: false, vagueErrors: true },
}

/** Whether there is a profile of this name. */
export function isVendorProfile(name: string): name is VendorProfile {
  return Object.hasOwn(VENDOR_PROFILES, name)
}

/**
 * CKA_EC_PARAMS of Ed25519: its OID (RFC 8410), or the curve's name as a PrintableString
 * (PKCS#11 v3.0 section 2.3.5), which some tokens know only.
 */
export const ED25519_PARAMETERS: readonly Uint8Array[] = [
  Uint8Array.of(0x06, 0x03, 0x2b, 0x65, 0x70),
  Uint8Array.of(0x13, 0x0c, ...new TextEncoder().encode('edwards25519')),
]

/** The forms of CKA_EC_PARAMS to try for a key type; one `undefined` for RSA, which has none. */
export function curveParameters(keyType: KeyType): readonly (Uint8Array | undefined)[] {
  // NIST curves by OID: SoftHSM knows no names.
  return keyType === 'ed25519' ? ED25519_PARAMETERS : [KEY_TYPES[keyType].curveOid]
}

/**
 * The explicit template: what is left out, tokens fill in as they like (SoftHSM makes a key that is
 * not sensitive). No usage but signing: some tokens refuse keys that may do everything.
 */
export function createKeyTemplate(
  keyType: KeyType,
  parameters: Uint8Array | undefined,
  names: { readonly id: Uint8Array; readonly label: string },
  profile: VendorProfile,
): KeyTemplate {
  const { family, bits } = KEY_TYPES[keyType]
  const common: TemplateAttribute[] = [
    { type: CKA.TOKEN, value: true },
    { type: CKA.KEY_TYPE, value: { rsa: CKK.RSA, ec: CKK.EC, ed25519: CKK.EC_EDWARDS }[family] },
    { type: CKA.ID, value: names.id },
    { type: CKA.LABEL, value: names.label },
  ]
  const shape: TemplateAttribute[] =
    parameters === undefined
      ? [
          { type: CKA.MODULUS_BITS, value: bits },
          { type: CKA.PUBLIC_EXPONENT, value: Uint8Array.of(1, 0, 1) },
        ]
      : [{ type: CKA.EC_PARAMS, value: parameters }]
  return {
    publicKey: [
      ...common,
      { type: CKA.PRIVATE, value: VENDOR_PROFILES[profile].privatePublicKey },
      { type: CKA.VERIFY, value: true },
      ...shape,
    ],
    privateKey: [
      ...common,
      { type: CKA.PRIVATE, value: true },
      { type: CKA.SENSITIVE, value: true },
      { type: CKA.EXTRACTABLE, value: false },
      { type: CKA.SIGN, value: true },
    ],
  }
}
