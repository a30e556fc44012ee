import type { CustomCsr } from '../../lifecycle/custom-csr.ts'
import { answerJson, type Answer } from '../answer.ts'
import { CUSTOM_CSR_CODES } from '../error-table.ts'
import { negotiate } from '../negotiate.ts'
import type { Call, Operation, Route } from '../route.ts'
import { checkBody, checkQuery } from '../validate.ts'
import {
  presentCustomCsr,
  presentEvent,
  presentWarnings,
  toDer,
  toFileName,
  toInput,
} from './present.ts'
import {
  CUSTOM_CSR_BODY,
  CUSTOM_CSR_LIST_QUERY,
  EVENTS_QUERY,
  type CustomCsrListQuery,
  type EventsQuery,
} from './schemas.ts'

const create: Operation = {
  needs: 'edit',
  strangers: 'forbidden',
  prepare: () => async (call) => {
    const { service, scope, access, request } = call
    const body = checkBody(CUSTOM_CSR_BODY, await call.readBody(), CUSTOM_CSR_CODES)
    const accountTag = scope.kind === 'account' ? scope.id : await access.accountOf?.(scope.id)
    // Without the request's signal: a client that goes away shall find what it asked for.
    const { customCsr, warnings, replayed } = await service.create(scope, toInput(body), {
      actor: access.actor,
      accountTag,
      idempotencyKey: request.headers.get('idempotency-key') ?? undefined,
    })
    return answerJson(
      201,
      { result: presentCustomCsr(customCsr), messages: presentWarnings(warnings) },
      {
        location: `${new URL(request.url).pathname}/${customCsr.id}`,
        ...(replayed && { 'idempotency-replayed': 'true' }),
      },
    )
  },
}

const list: Operation = {
  needs: 'read',
  strangers: 'forbidden',
  prepare: (query) => {
    const options = checkQuery(CUSTOM_CSR_LIST_QUERY, query)
    return (call) => answerList(call, options)
  },
}

async function answerList(
  { service, scope, request }: Call,
  { page, per_page, order, direction, name, common_name, san, key_type }: CustomCsrListQuery,
): Promise<Answer> {
  const found = await service.list(scope, {
    page,
    perPage: per_page,
    order,
    direction,
    filter: { name, commonName: common_name, san, keyType: key_type },
    signal: request.signal,
  })
  return answerJson(200, {
    result: found.items.map(presentCustomCsr),
    result_info: {
      page: found.page,
      per_page: found.perPage,
      count: found.items.length,
      total_count: found.totalCount,
      total_pages: found.totalPages,
    },
  })
}

/** The bare request: RFC 5967, and what OpenSSL's users call its PEM. */
const DER_TYPE = 'application/pkcs10'
const PEM_TYPE = 'application/x-pem-file'

const get: Operation = {
  needs: 'read',
  strangers: 'not_found',
  prepare:
    () =>
    async ({ service, scope, id, request, context }) => {
      const customCsr = await service.get(scope, id, { signal: request.signal })
      const type = negotiate(context, ['application/json', DER_TYPE, PEM_TYPE])
      if (type === DER_TYPE) return answerFile(customCsr, type, toDer(customCsr.csr))
      if (type === PEM_TYPE) return answerFile(customCsr, type, customCsr.csr)
      return answerJson(200, { result: presentCustomCsr(customCsr) })
    },
}

function answerFile(customCsr: CustomCsr, type: string, content: Answer['content']): Answer {
  const headers = {
    'content-type': type,
    'content-disposition': `attachment; filename="${toFileName(customCsr)}"`,
  }
  return { status: 200, headers, content }
}

const remove: Operation = {
  needs: 'edit',
  strangers: 'not_found',
  prepare:
    () =>
    async ({ service, scope, id, access }) => {
      const { warnings } = await service.delete(scope, id, { actor: access.actor })
      return answerJson(200, {
        result: null,
        message: 'Custom CSR deleted successfully',
        messages: presentWarnings(warnings),
      })
    },
}

const events: Operation = {
  needs: 'read',
  strangers: 'not_found',
  prepare: (query) => {
    const options = checkQuery(EVENTS_QUERY, query)
    return (call) => answerEvents(call, options)
  },
}

async function answerEvents(
  { service, scope, id, request }: Call,
  { after, limit }: EventsQuery,
): Promise<Answer> {
  const found = await service.events(scope, id, { after, limit, signal: request.signal })
  const last = found.at(-1)?.sequence ?? after
  return answerJson(200, {
    result: found.map(presentEvent),
    result_info: { count: found.length, ...(last !== undefined && { last_sequence: last }) },
  })
}

/** The routes of custom CSRs, below a zone or an account. */
export const CUSTOM_CSR_ROUTES: readonly Route[] = [
  {
    path: '/custom_csrs',
    codes: CUSTOM_CSR_CODES,
    operations: { GET: list, POST: create },
  },
  {
    path: '/custom_csrs/{custom_csr_id}',
    codes: CUSTOM_CSR_CODES,
    operations: { GET: get, DELETE: remove },
    headers: { vary: 'Accept' },
  },
  {
    path: '/custom_csrs/{custom_csr_id}/events',
    codes: CUSTOM_CSR_CODES,
    operations: { GET: events },
  },
]
