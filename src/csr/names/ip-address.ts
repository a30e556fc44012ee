import { refuse, show } from '../checks.ts'

/**
 * The octets of an IP address: 4 of an IPv4 address in dotted decimal, 16 of an IPv6 address as
 * RFC 4291 section 2.2 writes it; `undefined` for anything else.
 */
export function parseIpAddress(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.', 5)
  const octets = new Uint8Array(4)
  for (const [index, part] of parts.entries()) {
    // A leading zero is octal to some readers, decimal to others (RFC 6943 section 3.1.1).
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    octets[index] = Number(part)
  }
  return parts.length === 4 ? octets : undefined
}

function parseIpv6(text: string): Uint8Array | undefined {
  if (text.length > 45) return undefined
  const [head = '', tail, ...more] = text.split('::')
  if (more.length > 0) return undefined
  const front = parseGroups(head, tail === undefined)
  const back = parseGroups(tail ?? '', true)
  if (front === undefined || back === undefined) return undefined
  const length = front.length + back.length
  // "::" stands for at least one group of zeros.
  if (tail === undefined ? length !== 16 : length > 14) return undefined
  const octets = new Uint8Array(16)
  octets.set(front)
  octets.set(back, 16 - back.length)
  return octets
}

/** The octets of groups between colons; the last may be an IPv4 address where it ends the text. */
function parseGroups(text: string, last: boolean): number[] | undefined {
  const octets: number[] = []
  if (text === '') return octets
  const groups = text.split(':')
  for (const [index, group] of groups.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16)
      octets.push(value >> 8, value & 0xff)
      continue
    }
    const embedded = last && index === groups.length - 1 ? parseIpv4(group) : undefined
    if (embedded === undefined) return undefined
    octets.push(...embedded)
  }
  return octets
}

/**
 * The octets of an IP address that was asked for.
 * @throws {KeystayError} `ip_invalid`, `ip_zone`, `ip_prefix`
 */
export function checkIpAddress(text: string, pointer: string): Uint8Array {
  const octets = parseIpAddress(text)
  if (octets !== undefined) return octets
  if (text.includes('/')) {
    refuse('ip_prefix', pointer, `${show(text)} is a network; a certificate names one address`)
  }
  if (text.includes('%')) {
    refuse(
      'ip_zone',
      pointer,
      `${show(text)} has a zone, which means something on one machine only; leave out % and what follows`,
    )
  }
  refuse(
    'ip_invalid',
    pointer,
    `${show(text)} is not an IP address; write it such as 192.0.2.1 (no leading zeros) or 2001:db8::1 (no brackets)`,
  )
}

/** An address as text: dotted decimal, or RFC 5952; `undefined` unless it is 4 or 16 octets. */
export function formatIpAddress(octets: Uint8Array): string | undefined {
  if (octets.length === 4) return octets.join('.')
  if (octets.length !== 16) return undefined
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((octets[2 * index] ?? 0) << 8) | (octets[2 * index + 1] ?? 0)).toString(16),
  )
  const zeros = longestZeros(groups)
  if (zeros.length < 2) return groups.join(':')
  const head = groups.slice(0, zeros.start).join(':')
  return `${head}::${groups.slice(zeros.start + zeros.length).join(':')}`
}

function longestZeros(groups: readonly string[]): { start: number; length: number } {
  let longest = { start: 0, length: 0 }
  let length = 0
  for (const [index, group] of groups.entries()) {
    length = group === '0' ? length + 1 : 0
    if (length > longest.length) longest = { start: index - length + 1, length }
  }
  return longest
}
