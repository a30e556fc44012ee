import { KeystayError } from '../../src/errors.ts'
import {
  encodeUriText,
  parseKeyUri,
  parsePathAttributes,
  redactUri,
  refuseUnknownAttributes,
} from '../../src/key/uri.ts'

/** The scheme of backend and key URIs. */
export const SCHEME = 'awskms'

/** What `awskms:region=…;endpoint=…;profile=…;deletion-window-days=…` says. */
export interface AwsKmsLocation {
  readonly region: string | undefined
  readonly endpoint: string | undefined
  readonly profile: string | undefined
  readonly deletionWindowDays: number | undefined
}

/** A key by what stands in its URI. */
export interface AwsKmsKeyName {
  /** Key id, key ARN, alias name (`alias/…`) or alias ARN, letter case kept. */
  readonly keyId: string
  readonly isAlias: boolean
  /** Of the ARN, or of the attribute. */
  readonly region: string | undefined
}

const REGION = /^[a-z]{2,}(?:-[a-z0-9]+)+$/
const ARN = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:(key|alias)\/([A-Za-z0-9/_-]+)$/
const ALIAS = /^alias\/[A-Za-z0-9/_-]{1,250}$/
const KEY_ID = /^[A-Za-z0-9-]{1,256}$/

function invalid(uri: string, what: string): KeystayError {
  return new KeystayError('uri_invalid', `${redactUri(uri)} is not a valid AWS KMS URI: ${what}`)
}

function readAttributes(uri: string, known: readonly string[]): ReadonlyMap<string, string> {
  const { scheme, path, query } = parseKeyUri(uri)
  if (scheme !== SCHEME) throw invalid(uri, `it must begin with ${SCHEME}:`)
  if (query.size > 0) throw invalid(uri, 'attributes stand in the path, divided by semicolons')
  const attributes = parsePathAttributes(uri, path)
  refuseUnknownAttributes(uri, attributes.keys(), known)
  for (const [name, value] of attributes) {
    if (value === '') throw invalid(uri, `${name} is empty; leave it out or give it a value`)
  }
  return attributes
}

function readRegion(uri: string, region: string | undefined): string | undefined {
  if (region === undefined || REGION.test(region)) return region
  throw invalid(uri, `region is written like eu-central-1, not ${JSON.stringify(region)}`)
}

function readEndpoint(uri: string, endpoint: string | undefined): string | undefined {
  if (endpoint === undefined) return undefined
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw invalid(uri, 'endpoint is an http or https URL, percent-encoded where it has semicolons')
  }
  if (url.username !== '' || url.password !== '') {
    // Said without the URI, which holds a credential here.
    throw new KeystayError(
      'uri_invalid',
      'the endpoint of an AWS KMS URI holds a user or password; credentials come from the AWS environment or profile',
    )
  }
  return endpoint
}

function readDays(uri: string, days: string | undefined): number | undefined {
  if (days === undefined) return undefined
  if (!/^(?:[7-9]|[12]\d|30)$/.test(days)) {
    throw invalid(uri, 'deletion-window-days is a whole number from 7 to 30')
  }
  return Number(days)
}

/**
 * Reads a backend URI.
 * @throws {KeystayError} `uri_invalid`, `uri_attribute_unknown`, `uri_attribute_repeated`
 */
export function parseBackendUri(uri: string): AwsKmsLocation {
  const attributes = readAttributes(uri, ['region', 'endpoint', 'profile', 'deletion-window-days'])
  return {
    region: readRegion(uri, attributes.get('region')),
    endpoint: readEndpoint(uri, attributes.get('endpoint')),
    profile: attributes.get('profile'),
    deletionWindowDays: readDays(uri, attributes.get('deletion-window-days')),
  }
}

/** The URI that {@link parseBackendUri} reads as this. */
export function formatBackendUri(location: AwsKmsLocation): string {
  const { region, endpoint, profile, deletionWindowDays, ...rest } = location
  rest satisfies Record<string, never>
  const attributes = {
    region,
    endpoint,
    profile,
    'deletion-window-days': deletionWindowDays?.toString(),
  }
  const pairs = Object.entries(attributes).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeUriText(value)}`],
  )
  return `${SCHEME}:${pairs.join(';')}`
}

/**
 * Reads a key URI.
 * @throws {KeystayError} `key_uri_foreign` (another scheme), `uri_invalid`,
 *   `uri_attribute_unknown`, `uri_attribute_repeated`, `kms_region_mismatch` (ARN against attribute)
 */
export function parseKmsKeyUri(uri: string): AwsKmsKeyName {
  const { scheme } = parseKeyUri(uri)
  if (scheme !== SCHEME) {
    throw new KeystayError(
      'key_uri_foreign',
      `${redactUri(uri)} is a key of another backend; a key in AWS KMS is ${SCHEME}:key-id=…`,
    )
  }
  const attributes = readAttributes(uri, ['key-id', 'region'])
  const region = readRegion(uri, attributes.get('region'))
  const keyId = attributes.get('key-id') ?? ''
  const [, arnRegion, kind] = ARN.exec(keyId) ?? []
  if (arnRegion === undefined && !ALIAS.test(keyId) && !KEY_ID.test(keyId)) {
    throw invalid(uri, 'key-id is a key id, a key ARN, an alias ARN, or alias/ and a name')
  }
  if (arnRegion !== undefined && region !== undefined && arnRegion !== region) {
    throw new KeystayError(
      'kms_region_mismatch',
      `${uri} names the region ${region}, but its ARN ${arnRegion}; leave the region out or correct it`,
    )
  }
  const isAlias = kind === 'alias' || keyId.startsWith('alias/')
  return { keyId, isAlias, region: arnRegion ?? region }
}

/**
 * The URI of a key for ever: its ARN (or id, where only that is known) and region. What stands in
 * either needs no percent-encoding. The endpoint is configuration, not identity.
 */
export function formatKmsKeyUri(keyId: string, region: string): string {
  return `${SCHEME}:key-id=${keyId};region=${region}`
}
