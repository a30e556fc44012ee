import { parse } from 'tldts'
import { refuse, show } from '../csr/checks.ts'

/**
 * An operator's own policy: says why a name is refused, or `undefined` where it is welcome. The
 * name is a valid DNS name, in lower case, without the `*.` of a wildcard.
 */
export type NamePolicy = (name: string) => string | undefined

/**
 * Which names are refused beyond those that no CA issues for. `cloudflare`: reserved top domains,
 * the domains for documentation, and what is under no known public suffix.
 */
export type RefusedNames = 'none' | 'cloudflare' | NamePolicy

/** RFC 2606 section 2, RFC 6761 section 6. */
const RESERVED_TOP_DOMAINS: ReadonlySet<string> = new Set([
  'test',
  'example',
  'invalid',
  'localhost',
])

/** RFC 2606 section 3. */
const PROHIBITED = /(?:^|\.)example\.(?:com|net|org)$/

/**
 * Refuses names by policy, and always those that nobody can register: public suffixes themselves
 * (publicsuffix.org, the ICANN part) and single labels.
 * @throws {KeystayError} `dns_name_reserved`, `dns_name_prohibited`, `dns_name_public_suffix`,
 *   `dns_name_refused`
 */
export function checkNamePolicy(san: string, pointer: string, refused: RefusedNames): void {
  const name = san.toLowerCase().replace(/^\*\./, '')
  const { publicSuffix, domain, isIcann } = parse(name, {
    extractHostname: false,
    validateHostname: false,
  })
  if (refused === 'cloudflare') refuseReserved(name, san, pointer)
  if (domain === null) {
    refuse(
      'dns_name_public_suffix',
      pointer,
      `${show(san)} has no registrable domain: ${show(publicSuffix ?? name)} is a public suffix; put a label before it`,
    )
  }
  if (refused === 'cloudflare' && isIcann !== true) {
    refuse(
      'dns_name_public_suffix',
      pointer,
      `${show(san)} ends in ${show(publicSuffix)}, which is no public suffix; use a name under a public domain`,
    )
  }
  const reason = typeof refused === 'function' ? refused(name) : undefined
  if (reason !== undefined) {
    refuse('dns_name_refused', pointer, `${show(san)} is refused here: ${reason}`)
  }
}

function refuseReserved(name: string, san: string, pointer: string): void {
  const top = name.slice(name.lastIndexOf('.') + 1)
  if (RESERVED_TOP_DOMAINS.has(top)) {
    refuse(
      'dns_name_reserved',
      pointer,
      `${show(san)} ends in the reserved top domain ${show(top)}; use a public domain`,
    )
  }
  if (PROHIBITED.test(name)) {
    refuse(
      'dns_name_prohibited',
      pointer,
      `${show(san)} is under a domain that is reserved for documentation; use a domain of your own`,
    )
  }
}
