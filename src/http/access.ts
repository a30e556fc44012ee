import type { Scope } from '../store/store.ts'

/** What somebody may do in a scope. `edit` includes `read`. */
export type Permission = 'read' | 'edit'

/** Somebody whom `authorize` has recognized. */
export interface Access {
  /** Who it is, for the events and the log: an e-mail address, a user's id. Never a secret. */
  readonly actor: string
  /**
   * What they may do there. `undefined`: nothing, and they shall not learn whether there is
   * anything.
   */
  permission(scope: Scope): Permission | undefined | Promise<Permission | undefined>
  /** The account that owns a zone, where the platform knows: shown as `account_tag`. */
  accountOf?(zoneId: string): string | undefined | Promise<string | undefined>
}

/**
 * Why a request was not recognized, in the words of the API's codes 1000 to 1005.
 * - `token_missing` (1000): an authorization header, but no token in it;
 * - `token_malformed` (1001): not of the form of a token;
 * - `token_header_invalid` (1002): headers that do not belong together;
 * - `token_invalid` (1003): unknown, revoked or expired;
 * - `token_claims_unreadable` (1004): genuine, but what it allows could not be found out;
 * - `token_claims_missing` (1005): genuine, but it allows nothing at all.
 */
export type RefusalReason =
  | 'token_missing'
  | 'token_malformed'
  | 'token_header_invalid'
  | 'token_invalid'
  | 'token_claims_unreadable'
  | 'token_claims_missing'

/** A request that was not recognized. */
export interface Refusal {
  readonly refused: RefusalReason
}

/**
 * Says who sends a request, and what they may do. Required; there is no open default. `undefined`
 * is answered with 1402 where the request has no authorization header at all, and else like
 * `{ refused: 'token_invalid' }`. What it throws becomes a 500 and reaches `onError`.
 */
export type Authorize = (
  request: Request,
) => Access | Refusal | undefined | Promise<Access | Refusal | undefined>

/** Who may do one thing in some zones and accounts: what most platforms need. */
export interface Grant {
  readonly actor: string
  readonly role: Permission
  readonly zones?: readonly string[] | undefined
  readonly accounts?: readonly string[] | undefined
}

/** An {@link Access} to the zones and accounts named, and to no other. */
export function grantAccess({ actor, role, zones = [], accounts = [] }: Grant): Access {
  const allowed = { zone: new Set(zones), account: new Set(accounts) }
  return {
    actor,
    permission: ({ kind, id }) => (allowed[kind].has(id) ? role : undefined),
  }
}
