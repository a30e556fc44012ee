import { z } from 'zod'
import { KEY_TYPE_NAMES, type KeyType } from '../../csr/algorithms.ts'
import type { AttestationLevel } from '../../key/attestation.ts'
import type { CustomCsr } from '../../lifecycle/custom-csr.ts'

/** The body that asks for a custom CSR. */
export interface CustomCsrBody {
  readonly country: string
  readonly state: string
  readonly locality: string
  readonly organization: string
  readonly organizational_unit?: string | null | undefined
  readonly common_name: string
  readonly sans: string[]
  readonly key_type?: KeyType | null | undefined
  readonly name?: string | null | undefined
  readonly description?: string | null | undefined
}

/** Text of at least one character; what is in it is for the service to judge. */
function text(max: number): z.ZodType<string, string> {
  const error = `text of 1 to ${max} characters`
  // Characters are counted as JSON Schema and RFC 5280 do, not UTF-16 units.
  return z
    .string({ error })
    .min(1, { error })
    .refine((value) => value.length <= max || Array.from(value).length <= max, { error })
    .meta({ maxLength: max })
}

/** Text that may be left out, in any of the ways that clients have for it. */
function optionalText(max: number): z.ZodType<string | null | undefined> {
  const error = `text of at most ${max} characters`
  return z
    .string({ error })
    .refine((value) => value.length <= max || Array.from(value).length <= max, { error })
    .meta({ maxLength: max })
    .nullish()
}

const KEY_TYPE = z.enum(KEY_TYPE_NAMES as [KeyType, ...KeyType[]], {
  error: `one of ${KEY_TYPE_NAMES.join(', ')}`,
})

const FIELDS = {
  country: z
    .string({ error: 'two upper-case letters (ISO 3166), such as US' })
    .regex(/^[A-Z]{2}$/, { error: 'two upper-case letters (ISO 3166), such as US' })
    .describe('Two letters of ISO 3166'),
  state: text(128).describe('State or province'),
  locality: text(128).describe('City'),
  organization: text(64).describe('Legal name of the organization'),
  organizational_unit: optionalText(64).describe('Part of the organization'),
  common_name: text(64).describe('Should be one of the SANs too'),
  sans: z
    .array(
      z.string({ error: 'a DNS name' }).min(1, { error: 'a DNS name' }).max(255, {
        error: 'a DNS name of at most 255 characters',
      }),
      { error: 'a list of DNS names' },
    )
    .min(1, { error: 'a list of at least one DNS name' })
    .describe('DNS names; a wildcard is the whole left label'),
  key_type: KEY_TYPE.nullish().describe('rsa2048 where it is left out'),
  name: optionalText(255).describe('For people and lists'),
  description: optionalText(1024).describe('For people'),
}

export const CUSTOM_CSR_BODY: z.ZodType<CustomCsrBody> = z.strictObject(FIELDS, {
  // Reached by unknown fields only: the body is known to be an object.
  error: `is not known; known here are ${Object.keys(FIELDS).join(', ')}`,
})

/** The query of a list. */
export interface CustomCsrListQuery {
  readonly page?: number | undefined
  readonly per_page?: number | undefined
  readonly order?: 'name' | 'account_tag' | 'created_at' | undefined
  readonly direction?: 'asc' | 'desc' | undefined
  readonly name?: string | undefined
  readonly common_name?: string | undefined
  readonly san?: string | undefined
  readonly key_type?: KeyType | undefined
}

/** A whole number in a query; default and description are for the OpenAPI document. */
function whole(
  min: number,
  max: number,
  meta: Record<string, unknown>,
): z.ZodType<number | undefined> {
  const error = `a whole number from ${min} to ${max}`
  return z
    .preprocess(
      (value) => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value),
      z.int({ error }).min(min, { error }).max(max, { error }).meta(meta),
    )
    .optional()
}

function filter(description: string): z.ZodType<string | undefined> {
  const error = 'text; leave it out where you want all'
  return z.string({ error }).min(1, { error }).describe(description).optional()
}

export const CUSTOM_CSR_LIST_QUERY: z.ZodType<CustomCsrListQuery> = z.object({
  page: whole(1, 999_999_999, { default: 1, description: 'Past the end it is empty' }),
  per_page: whole(5, 50, { default: 20 }),
  order: z
    .enum(['name', 'account_tag', 'created_at'], { error: 'name, account_tag or created_at' })
    .meta({ default: 'created_at' })
    .optional(),
  direction: z.enum(['asc', 'desc'], { error: 'asc or desc' }).meta({ default: 'asc' }).optional(),
  name: filter('Only those of this name'),
  common_name: filter('Only those with this common name'),
  san: filter('Only those with this SAN'),
  key_type: KEY_TYPE.describe('Only those with a key of this type').optional(),
})

/** The query of the events of a CSR. */
export interface EventsQuery {
  readonly after?: number | undefined
  readonly limit?: number | undefined
}

export const EVENTS_QUERY: z.ZodType<EventsQuery> = z.object({
  after: whole(0, 999_999_999_999_999, { description: 'Only those after this sequence' }),
  limit: whole(1, 1000, { default: 100 }),
})

/** What is known of how a key is kept, as it is answered. */
export interface WireAttestation {
  readonly level: AttestationLevel
  readonly backend: string
  readonly claims: Readonly<Record<string, string | number | boolean | null>>
  readonly concerns: readonly string[]
  readonly evidence?: { readonly format: string; readonly data: string } | undefined
  readonly observed_at: string
}

const SCALAR = z.union([z.string(), z.number(), z.boolean(), z.null()])

const ATTESTATION = z.object({
  level: z
    .enum(['software', 'claimed-by-token', 'vendor-attested'])
    .describe('How far it can be trusted that the key cannot leave its device'),
  backend: z.string().describe('What keeps the key: webcrypto, pkcs11, awskms'),
  claims: z.record(z.string(), SCALAR).describe('What the device said, by its own names'),
  concerns: z.array(z.string()).describe('Gaps and contradictions in the claims'),
  evidence: z
    .object({ format: z.string(), data: z.string().meta({ contentEncoding: 'base64' }) })
    .describe("The maker's signed statement")
    .optional(),
  observed_at: z.iso.datetime(),
})

/** A custom CSR as it is answered. What is not known is left out. */
export interface WireCustomCsr {
  readonly id: string
  readonly country: string
  readonly state: string
  readonly locality: string
  readonly organization: string
  readonly organizational_unit?: string | undefined
  readonly common_name: string
  readonly sans: readonly string[]
  readonly key_type: KeyType
  readonly name?: string | undefined
  readonly description?: string | undefined
  readonly csr: string
  readonly created_at: string
  readonly account_tag?: string | undefined
  readonly key_state: CustomCsr['key']['state']
  readonly attestation: WireAttestation
}

export const CUSTOM_CSR: z.ZodType<WireCustomCsr> = z.object({
  id: z.guid(),
  country: z.string(),
  state: z.string(),
  locality: z.string(),
  organization: z.string(),
  organizational_unit: z.string().optional(),
  common_name: z.string(),
  sans: z.array(z.string()),
  key_type: KEY_TYPE,
  name: z.string().optional(),
  description: z.string().optional(),
  csr: z
    .string()
    .regex(/^-----BEGIN CERTIFICATE REQUEST-----\n/)
    .describe('PEM (RFC 7468)'),
  created_at: z.iso.datetime(),
  account_tag: z.string().describe('The account, where it is known').optional(),
  key_state: z.enum(['creating', 'assigned', 'destroying', 'scheduled']),
  attestation: ATTESTATION,
})

/** One thing that happened to a custom CSR, as it is answered. */
export interface WireEvent {
  readonly sequence: number
  readonly type: string
  readonly actor: string
  readonly at: string
  readonly custom_csr_id?: string | undefined
  readonly key_id?: string | undefined
  readonly details?: Readonly<Record<string, string | number | boolean>> | undefined
}

export const EVENT: z.ZodType<WireEvent> = z.object({
  sequence: z.int().describe('Grows; give the last one as `after` for what comes next'),
  type: z.string().describe('For instance custom_csr.created'),
  actor: z.string().describe('Who did it'),
  at: z.iso.datetime(),
  custom_csr_id: z.guid().optional(),
  key_id: z.guid().optional(),
  details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
})
