import type { Access, Authorize } from './access.ts'
import { REFUSALS, type ResourceCodes } from './error-table.ts'
import { wireError } from './wire-error.ts'

/** The headers in which credentials come. */
export const CREDENTIAL_HEADERS: readonly string[] = [
  'authorization',
  'x-auth-email',
  'x-auth-key',
  'x-auth-user-service-key',
]

/**
 * Who sends the request.
 * @throws {WireError} 401, or 400 where it has no credentials at all
 */
export async function authenticate(
  request: Request,
  authorize: Authorize,
  codes: ResourceCodes,
): Promise<Access> {
  const answer = await authorize(request)
  if (answer === undefined) {
    const tried = CREDENTIAL_HEADERS.some((name) => request.headers.has(name))
    throw wireError(tried ? REFUSALS.token_invalid : codes.noCredentials)
  }
  if ('refused' in answer) throw wireError(REFUSALS[answer.refused])
  return answer
}
