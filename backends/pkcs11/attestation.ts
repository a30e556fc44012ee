import type { Attestation } from '../../src/key/attestation.ts'
import { CKM, mechanismName } from './cryptoki.ts'
import type { KeyClaims, TokenInfo } from './operation-types.ts'

/** Makers of tokens that are programs. Their claims are true of nothing but their own interface. */
const SOFTWARE_TOKENS: readonly { readonly name: string; readonly pattern: RegExp }[] = [
  { name: 'SoftHSM', pattern: /SoftHSM/ },
  { name: 'NSS', pattern: /Mozilla|\bNSS\b/ },
  { name: 'opencryptoki soft token', pattern: /^IBM .*Soft/i },
]

const GENERATING: readonly number[] = [
  CKM.RSA_PKCS_KEY_PAIR_GEN,
  CKM.RSA_X9_31_KEY_PAIR_GEN,
  CKM.EC_KEY_PAIR_GEN,
  CKM.EC_EDWARDS_KEY_PAIR_GEN,
]

function softwareName({ manufacturer, model }: TokenInfo): string | undefined {
  return SOFTWARE_TOKENS.find(({ pattern }) => pattern.test(`${manufacturer} ${model}`))?.name
}

function* findConcerns(claims: KeyClaims, token: TokenInfo): Iterable<string> {
  const software = softwareName(token)
  if (software !== undefined) {
    yield `${software} is a software token: it keeps keys in files, which protects them no better than the access rights and the PIN`
  }
  if (claims.CKA_EXTRACTABLE === true) yield 'the key may leave the token (CKA_EXTRACTABLE is true)'
  if (claims.CKA_SENSITIVE === false) {
    yield 'the key can be read in plain (CKA_SENSITIVE is false)'
  }
  if (claims.CKA_ALWAYS_SENSITIVE === false) {
    yield 'the key was readable at some time (CKA_ALWAYS_SENSITIVE is false)'
  }
  if (claims.CKA_NEVER_EXTRACTABLE === false) {
    yield 'the key was extractable at some time (CKA_NEVER_EXTRACTABLE is false)'
  }
  if (claims.CKA_LOCAL === false) {
    yield software === 'NSS'
      ? 'whether the key was generated in the token is not known (NSS says CKA_LOCAL false of every key)'
      : 'the key was not generated in the token (CKA_LOCAL is false)'
  }
  const mechanism = claims.CKA_KEY_GEN_MECHANISM
  if (mechanism !== null && !GENERATING.includes(mechanism)) {
    yield `the key came to be by ${mechanismName(mechanism)}, which generates no key pair`
  }
  const silent = Object.entries(claims).filter(([, value]) => value === null)
  if (silent.length > 0) yield `the token does not say ${silent.map(([name]) => name).join(', ')}`
}

/** What the token says of a key, with the level and the concerns that follow from it. */
export function createAttestation(claims: KeyClaims, token: TokenInfo): Attestation {
  const mechanism = claims.CKA_KEY_GEN_MECHANISM
  return {
    level: 'claimed-by-token',
    backend: 'pkcs11',
    claims: {
      ...claims,
      CKA_KEY_GEN_MECHANISM: mechanism === null ? null : mechanismName(mechanism),
      'token manufacturer': token.manufacturer,
      'token model': token.model,
      'token serial': token.serial,
    },
    concerns: [...findConcerns(claims, token)],
    observedAt: new Date(),
  }
}
