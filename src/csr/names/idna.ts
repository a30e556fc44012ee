/**
 * The A-label form (RFC 5890 section 2.3.2.1) of a name with U-labels, as the runtime's URL
 * implementation converts it (UTS 46, non-transitional), or `undefined` where there is none.
 */
export function toAsciiName(name: string): string | undefined {
  const wildcard = name.startsWith('*.')
  const rest = wildcard ? name.slice(2) : name
  // ASCII that no host name contains would mean something else to a URL.
  if (/[^a-z0-9.\-\u0080-\uffff]/i.test(rest)) return undefined
  const host = urlHost(rest)
  return host === undefined || host === '' ? undefined : `${wildcard ? '*.' : ''}${host}`
}

/**
 * Whether a label that begins with `xn--` is an A-label: it decodes, and what it decodes to
 * encodes to the same label again.
 */
export function isALabel(label: string): boolean {
  const unicode = decodePunycode(label.slice(4).toLowerCase())
  return unicode !== undefined && urlHost(unicode) === label.toLowerCase()
}

function urlHost(name: string): string | undefined {
  const url = `http://${name}/`
  return URL.canParse(url) ? new URL(url).hostname : undefined
}

/** Decodes Punycode (RFC 3492 section 6.2); `undefined` where it is not well-formed. */
function decodePunycode(encoded: string): string | undefined {
  const delimiter = encoded.lastIndexOf('-')
  const output = Array.from(encoded.slice(0, Math.max(delimiter, 0)))
  let position = delimiter + 1
  let codePoint = 128
  let index = 0
  let bias = 72
  while (position < encoded.length) {
    const before = index
    let weight = 1
    for (let k = 36; ; k += 36) {
      const digit = digitValue(encoded.charCodeAt(position++))
      if (digit === undefined) return undefined
      index += digit * weight
      if (index > 0x7fff_ffff) return undefined
      const threshold = Math.min(Math.max(k - bias, 1), 26)
      if (digit < threshold) break
      weight *= 36 - threshold
    }
    const count = output.length + 1
    bias = adaptBias(index - before, count, before === 0)
    codePoint += Math.floor(index / count)
    index %= count
    if (codePoint > 0x10_ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff)) return undefined
    output.splice(index++, 0, String.fromCodePoint(codePoint))
  }
  // An empty or all-ASCII result needs no A-label.
  return codePoint === 128 ? undefined : output.join('')
}

/** The value of a base-36 digit: a to z, then 0 to 9; `NaN`, past the end, is none. */
function digitValue(unit: number): number | undefined {
  if (unit >= 0x61 && unit <= 0x7a) return unit - 0x61
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30 + 26
  return undefined
}

/** RFC 3492 section 6.1. */
function adaptBias(delta: number, count: number, first: boolean): number {
  let left = Math.floor(delta / (first ? 700 : 2))
  left += Math.floor(left / count)
  let k = 0
  for (; left > 455; k += 36) left = Math.floor(left / 35)
  return k + Math.floor((36 * left) / (left + 38))
}
