import type { KeyMetadata } from '@aws-sdk/client-kms'
import type { Attestation } from '../../src/key/attestation.ts'
import { SCHEME } from './uri.ts'

/** What KMS says of a key: its word only, for it signs no statement about single keys. */
export function attestationFrom(
  metadata: KeyMetadata,
  customHost: string | undefined,
): Attestation {
  const { Origin, KeyManager, KeySpec, KeyUsage, KeyState, CustomKeyStoreId, MultiRegion } =
    metadata
  return {
    level: 'claimed-by-token',
    backend: SCHEME,
    claims: {
      Origin: Origin ?? null,
      KeyManager: KeyManager ?? null,
      KeySpec: KeySpec ?? null,
      KeyUsage: KeyUsage ?? null,
      KeyState: KeyState ?? null,
      CustomKeyStoreId: CustomKeyStoreId ?? null,
      MultiRegion: MultiRegion ?? null,
    },
    concerns: [...concernsAbout(metadata, customHost)],
    observedAt: new Date(),
  }
}

function* concernsAbout(metadata: KeyMetadata, customHost: string | undefined): Iterable<string> {
  const { Origin, KeyManager, KeyUsage, KeyState, MultiRegion } = metadata
  if (customHost !== undefined) {
    yield `the answer came from ${customHost}, which is not an AWS host: an emulator may keep keys as it likes`
  }
  if (Origin === 'EXTERNAL') {
    yield 'the key material was imported (Origin EXTERNAL): copies of it exist or existed outside AWS KMS'
  } else if (Origin !== 'AWS_KMS') {
    yield `the key material does not come from AWS KMS itself (Origin ${Origin ?? 'not said'})`
  }
  if (KeyManager !== 'CUSTOMER') {
    yield `the key is not managed by the customer (KeyManager ${KeyManager ?? 'not said'})`
  }
  if (KeyUsage !== 'SIGN_VERIFY') {
    yield `the key is not for signatures (KeyUsage ${KeyUsage ?? 'not said'})`
  }
  if (MultiRegion === true) {
    yield 'the key is multi-Region: its material can be replicated to other regions of AWS'
  }
  if (KeyState !== 'Enabled') yield `the key is not usable now (KeyState ${KeyState ?? 'not said'})`
}

/** The host of a configured endpoint, where it does not belong to AWS. */
export function customHostOf(hostname: string | undefined): string | undefined {
  const isAws = /(?:^|\.)(?:amazonaws\.com(?:\.cn)?|api\.aws|amazonaws\.eu)$/
  return hostname === undefined || isAws.test(hostname) ? undefined : hostname
}
