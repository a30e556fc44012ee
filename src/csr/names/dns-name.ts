import { isALabel, toAsciiName } from './idna.ts'
import { parseIpAddress } from './ip-address.ts'
import { refuse, show } from '../checks.ts'

/**
 * Names in which there is nothing to examine: labels of letters, digits and single inner hyphens,
 * the first perhaps a whole `*`, the last not ending in a digit.
 */
const PLAIN_NAME = /^(?:\*\.)?(?:[A-Za-z0-9](?:-?[A-Za-z0-9])*\.)*(?:[A-Za-z0-9]-?)*[A-Za-z]$/

/**
 * Refuses what is not a host name as a certificate carries it: the preferred syntax of RFC 1034
 * section 3.5 with RFC 1123 section 2.1 (so no underscore, which RFC 5280 section 4.2.1.6 rules out
 * and CAs must refuse), A-labels that are ones (RFC 5890), a wildcard as the whole left label only
 * (RFC 9525 section 6.3).
 * @throws {KeystayError} `dns_…`
 */
export function checkDnsName(name: string, pointer: string): void {
  if (name.length > 63 || !PLAIN_NAME.test(name)) examine(name, pointer)
}

/** Whether every character is ASCII. */
export function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0x7f) return false
  }
  return true
}

/** The whole check, which says what is wrong, the most telling first. */
function examine(name: string, pointer: string): void {
  if (name === '') refuse('dns_name_empty', pointer, 'a DNS name is empty; leave it out instead')
  refuseOtherKinds(name, pointer)
  if (!isAscii(name)) {
    const ascii = toAsciiName(name)
    refuse(
      'dns_name_international',
      pointer,
      ascii === undefined
        ? `${show(name)} is not ASCII, and no A-label form of it exists`
        : `${show(name)} is not ASCII; give its A-label form ${show(ascii)}, or ask for conversion with internationalNames: 'convert'`,
    )
  }
  if (name.endsWith('.')) {
    refuse(
      'dns_name_trailing_dot',
      pointer,
      `${show(name)} ends in a dot; certificates carry names without it`,
    )
  }
  if (name.length > 253) {
    refuse(
      'dns_name_too_long',
      pointer,
      `a DNS name has ${name.length} characters; 253 is the most`,
    )
  }
  const labels = name.split('.')
  if (labels[0] === '*' && labels.length > 1) labels.shift()
  for (const label of labels) examineLabel(label, name, pointer)
  if (/^\d+$/.test(labels.at(-1) ?? '')) {
    refuse(
      'dns_name_is_ip',
      pointer,
      `${show(name)} ends in a number, as an IPv4 address does; no top-level domain is one`,
    )
  }
}

function refuseOtherKinds(name: string, pointer: string): void {
  const bare = name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name
  if (parseIpAddress(bare) !== undefined) {
    refuse(
      'dns_name_is_ip',
      pointer,
      `${show(name)} is an IP address; give it as {"ip": ${show(bare)}}`,
    )
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(name)) {
    refuse(
      'dns_name_is_uri',
      pointer,
      `${show(name)} is a URI; give the host name alone, or {"uri": ${show(name)}}`,
    )
  }
  if (name.includes('@')) {
    refuse(
      'dns_name_is_email',
      pointer,
      `${show(name)} is an e-mail address; give it as {"email": ${show(name)}}`,
    )
  }
}

function examineLabel(label: string, name: string, pointer: string): void {
  if (label === '') {
    refuse('dns_label_empty', pointer, `${show(name)} has an empty label: a dot too many`)
  }
  if (label.includes('*')) {
    refuse(
      'dns_wildcard_invalid',
      pointer,
      `${show(name)}: a wildcard is the whole left label, such as *.example.com`,
    )
  }
  if (label.includes('_')) {
    refuse(
      'dns_label_underscore',
      pointer,
      `${show(name)}: host names have no underscore, and CAs refuse it`,
    )
  }
  const [wrong] = /[^A-Za-z0-9-]/.exec(label) ?? []
  if (wrong !== undefined) {
    refuse(
      'dns_label_character',
      pointer,
      `${show(name)}: ${show(wrong)} is not allowed; host names are of letters, digits and hyphens`,
    )
  }
  if (label.length > 63) {
    refuse('dns_label_too_long', pointer, `${show(name)} has a label of more than 63 characters`)
  }
  if (label.startsWith('-') || label.endsWith('-')) {
    refuse('dns_label_hyphen', pointer, `${show(name)}: no label begins or ends with a hyphen`)
  }
  if (label.slice(2, 4) === '--') examineReserved(label, name, pointer)
}

/** RFC 5890 section 2.3.1: hyphens in the third and fourth place are reserved for A-labels. */
function examineReserved(label: string, name: string, pointer: string): void {
  if (!/^xn--/i.test(label)) {
    refuse(
      'dns_label_reserved',
      pointer,
      `${show(name)}: ${show(label)} has "--" in third place, which only xn-- labels may`,
    )
  }
  if (!isALabel(label)) {
    refuse(
      'dns_label_not_idna',
      pointer,
      `${show(name)}: ${show(label)} is not the A-label of any international label`,
    )
  }
}
