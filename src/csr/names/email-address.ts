import { checkDnsName, isAscii } from './dns-name.ts'
import { refuse, show } from '../checks.ts'

/** RFC 5321 section 4.1.2: a dot-string, or a quoted string. */
const LOCAL_PART =
  /^(?:[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*|"(?:[ !#-[\]-~]|\\[ -~])*")$/

/**
 * Refuses what is not a mailbox as rfc822Name carries it (RFC 5280 section 4.2.1.6).
 * @throws {KeystayError} `email_…`, and `dns_…` for its domain
 */
export function checkEmailAddress(address: string, pointer: string): void {
  const at = address.lastIndexOf('@')
  const local = address.slice(0, Math.max(at, 0))
  const domain = address.slice(at + 1)
  if (!isAscii(local)) {
    refuse(
      'email_local_part_international',
      pointer,
      `${show(address)}: the part before @ must be ASCII; what RFC 9598 allows beyond that can be given as {"otherName": …}`,
    )
  }
  if (local === '' || domain === '' || domain.startsWith('*') || !LOCAL_PART.test(local)) {
    refuse(
      'email_invalid',
      pointer,
      `${show(address)} is not an e-mail address such as name@example.com`,
    )
  }
  // RFC 5321 section 4.5.3.1: 64 octets before @, 254 in all.
  if (local.length > 64 || address.length > 254) {
    refuse(
      'email_too_long',
      pointer,
      `${show(address)} is too long: at most 64 characters before @ and 254 in all`,
    )
  }
  checkDnsName(domain, pointer)
}
