import { decodeBase64, findPemBlocks } from '../../csr/pem.ts'
import type { Attestation } from '../../key/attestation.ts'
import type {
  CustomCsr,
  CustomCsrEvent,
  CustomCsrInput,
  Warning,
} from '../../lifecycle/custom-csr.ts'
import { WARNINGS } from '../error-table.ts'
import { toWirePointer, type WireMessage } from '../wire-error.ts'
import type { CustomCsrBody, WireAttestation, WireCustomCsr, WireEvent } from './schemas.ts'

/** What the service is asked for; `null` and an empty text are left out. */
export function toInput(body: CustomCsrBody): CustomCsrInput {
  const { country, state, locality, organization, organizational_unit, common_name } = body
  const { sans, key_type, name, description } = body
  return {
    country,
    state,
    locality,
    organization,
    organizationalUnit: organizational_unit ?? undefined,
    commonName: common_name,
    sans,
    keyType: key_type ?? undefined,
    name: name ?? undefined,
    description: description ?? undefined,
  }
}

/** A custom CSR as it is answered. */
export function presentCustomCsr(customCsr: CustomCsr): WireCustomCsr {
  const { id, organizationalUnit, commonName, accountTag, keyType, createdAt, key } = customCsr
  return {
    id,
    country: customCsr.country,
    state: customCsr.state,
    locality: customCsr.locality,
    organization: customCsr.organization,
    organizational_unit: organizationalUnit,
    common_name: commonName,
    sans: customCsr.sans,
    key_type: keyType,
    name: customCsr.name,
    description: customCsr.description,
    csr: customCsr.csr,
    created_at: createdAt.toISOString(),
    account_tag: accountTag,
    key_state: key.state,
    attestation: presentAttestation(key.attestation),
  }
}

function presentAttestation(attestation: Attestation): WireAttestation {
  const { level, backend, claims, concerns, evidence, observedAt } = attestation
  return {
    level,
    backend,
    claims,
    concerns,
    evidence: evidence && { format: evidence.format, data: encodeBase64(evidence.data) },
    observed_at: observedAt.toISOString(),
  }
}

function encodeBase64(bytes: Uint8Array): string {
  return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ''))
}

/** An event as it is answered. */
export function presentEvent(event: CustomCsrEvent): WireEvent {
  const { sequence, type, actor, at, csrId, keyId, details } = event
  return {
    sequence,
    type,
    actor,
    at: at.toISOString(),
    custom_csr_id: csrId,
    key_id: keyId,
    details,
  }
}

/** Warnings as `messages`. */
export function presentWarnings(warnings: readonly Warning[]): WireMessage[] {
  return warnings.map(({ code, message, pointer }) => {
    const wirePointer = toWirePointer(pointer)
    return {
      code: WARNINGS[code].code,
      message,
      ...(wirePointer !== undefined && { source: { pointer: wirePointer } }),
    }
  })
}

/** The DER of a request that is kept as PEM. */
export function toDer(pem: string): Uint8Array<ArrayBuffer> {
  const der = decodeBase64(findPemBlocks(pem)[0]?.body ?? '')
  if (der === undefined) throw new TypeError('the stored request is not PEM')
  return Uint8Array.from(der)
}

/** A name that every file system takes. */
export function toFileName({ commonName, id }: CustomCsr): string {
  const safe = commonName.replaceAll(/[^A-Za-z0-9.-]/g, '_').replace(/^[.-]+/, '')
  return `${safe === '' ? id : safe}.csr`
}
