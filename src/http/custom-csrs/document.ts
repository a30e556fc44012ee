import { z } from 'zod'
import { CUSTOM_CSR_CODES as CODES, GENERAL, WARNINGS, type WireCode } from '../error-table.ts'
import { describeAnswer, MESSAGE, type OperationDocument } from '../document-parts.ts'
import {
  CUSTOM_CSR,
  CUSTOM_CSR_BODY,
  CUSTOM_CSR_LIST_QUERY,
  EVENT,
  EVENTS_QUERY,
} from './schemas.ts'

const LIST_INFO = z.object({
  page: z.int(),
  per_page: z.int(),
  count: z.int().describe('How many are on this page'),
  total_count: z.int(),
  total_pages: z.int(),
})

const EVENTS_INFO = z.object({
  count: z.int(),
  last_sequence: z.int().describe('Give it as `after` for what comes next').optional(),
})

const WARNING = MESSAGE.describe(
  `Warnings: ${Object.values(WARNINGS)
    .map(({ code, meaning }) => `${code} (${meaning})`)
    .join(', ')}`,
)

/** The schemas of custom CSRs, by their names in the document. */
export const CUSTOM_CSR_SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  CustomCsr: CUSTOM_CSR,
  CustomCsrBody: CUSTOM_CSR_BODY,
  CustomCsrEvent: EVENT,
  CustomCsrWarning: WARNING,
  CustomCsrAnswer: describeAnswer(CUSTOM_CSR, { messages: z.array(WARNING) }),
  CustomCsrList: describeAnswer(z.array(CUSTOM_CSR), { result_info: LIST_INFO }),
  CustomCsrDeleted: describeAnswer(z.null(), {
    message: z.literal('Custom CSR deleted successfully'),
    messages: z.array(WARNING),
  }),
  CustomCsrEvents: describeAnswer(z.array(EVENT), { result_info: EVENTS_INFO }),
}

const EXAMPLE_BODY = {
  country: 'US',
  state: 'MA',
  locality: 'Boston',
  organization: 'City of Boston',
  organizational_unit: 'Championship Parade Detail',
  common_name: 'app.example.com',
  sans: ['app.example.com', 'www.example.com', 'blog.example.com', 'example.com'],
  key_type: 'p256v1',
}

const EXAMPLE = {
  id: '8c1d3a52-6b0e-4f57-9a0b-2f6f0c1e7d34',
  ...EXAMPLE_BODY,
  csr: '-----BEGIN CERTIFICATE REQUEST-----\n…\n-----END CERTIFICATE REQUEST-----\n',
  created_at: '2026-01-31T09:26:53.589Z',
  key_state: 'assigned',
  attestation: {
    level: 'software',
    backend: 'webcrypto',
    claims: { extractable: false },
    concerns: [],
    observed_at: '2026-01-31T09:26:53.575Z',
  },
}

const EXAMPLE_ANSWER = { result: EXAMPLE, success: true, errors: [], messages: [] }

const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  description: 'The same key gives the same CSR for 24 hours: makes it safe to try again',
  schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,255}$' },
}

const ON_ONE: readonly WireCode[] = [CODES.id, CODES.notFound]

function fieldCodes(): WireCode[] {
  return Object.values(CODES.fields).flatMap(({ any, long, item }) =>
    [any, long, item].filter((code) => code !== undefined),
  )
}

const CREATE: OperationDocument = {
  name: 'create',
  summary: 'Make a key and the request for it',
  parameters: [IDEMPOTENCY_KEY],
  body: { schema: 'CustomCsrBody', example: EXAMPLE_BODY },
  success: {
    status: 201,
    description: 'The new CSR',
    schema: 'CustomCsrAnswer',
    example: EXAMPLE_ANSWER,
    headers: {
      location: { description: 'Path of the CSR', required: true, schema: { type: 'string' } },
      'idempotency-replayed': {
        description: 'Where an earlier request with the same Idempotency-Key made it',
        schema: { const: 'true' },
      },
    },
  },
  errors: [
    ...[CODES.body, CODES.forbidden, ...fieldCodes(), ...Object.values(CODES.codes)].filter(
      (code) => !ON_ONE.includes(code) && code !== CODES.codes.custom_csr_in_use,
    ),
    ...[GENERAL.body_slow, GENERAL.body_too_large],
    ...[GENERAL.body_not_json_type, GENERAL.body_encoded],
  ],
}

const GET: OperationDocument = {
  name: 'get',
  summary: 'One CSR, or the bare request alone',
  success: {
    status: 200,
    description: 'As JSON; by the header Accept also the request alone, as DER or PEM',
    schema: 'CustomCsrAnswer',
    example: EXAMPLE_ANSWER,
    files: ['application/pkcs10', 'application/x-pem-file'],
    headers: {
      vary: { required: true, schema: { const: 'Accept' } },
      'content-disposition': {
        description: 'With the bare request',
        schema: { type: 'string', pattern: '^attachment; filename="[A-Za-z0-9._-]+"$' },
      },
    },
  },
  errors: [...ON_ONE, CODES.forbidden],
}

/** The operations of custom CSRs, by path and method as the routes have them. */
export const CUSTOM_CSR_OPERATIONS: Readonly<
  Record<string, Readonly<Record<string, OperationDocument>>>
> = {
  '/custom_csrs': {
    get: {
      name: 'list',
      summary: 'The CSRs of a zone or an account, by pages',
      description:
        'Past the last page the list is empty; parameters that are not known are ignored.',
      query: CUSTOM_CSR_LIST_QUERY,
      success: {
        status: 200,
        description: 'One page',
        schema: 'CustomCsrList',
        example: {
          ...{ ...EXAMPLE_ANSWER, result: [EXAMPLE] },
          result_info: { page: 1, per_page: 20, count: 1, total_count: 1, total_pages: 1 },
        },
      },
      errors: [GENERAL.bad_parameter, CODES.forbidden],
    },
    post: CREATE,
  },
  '/custom_csrs/{custom_csr_id}': {
    get: GET,
    delete: {
      name: 'delete',
      summary: 'Delete a CSR and destroy its key',
      success: {
        status: 200,
        description: 'The CSR is gone; messages say where its key is not, yet',
        schema: 'CustomCsrDeleted',
        headers: { vary: { required: true, schema: { const: 'Accept' } } },
      },
      errors: [...ON_ONE, CODES.forbidden, CODES.codes.custom_csr_in_use].filter(
        (code) => code !== undefined,
      ),
    },
  },
  '/custom_csrs/{custom_csr_id}/events': {
    get: {
      name: 'list_events',
      summary: 'What happened to a CSR, also after it was deleted; the oldest first',
      query: EVENTS_QUERY,
      success: { status: 200, description: 'The events', schema: 'CustomCsrEvents' },
      errors: [GENERAL.bad_parameter, ...ON_ONE, CODES.forbidden],
    },
  },
}
