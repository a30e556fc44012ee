/** The order of DER's SET OF (X.690 section 11.6): octet by octet, and the shorter one first. */
export function compareBytes(one: Uint8Array, other: Uint8Array): number {
  const common = Math.min(one.length, other.length)
  for (let index = 0; index < common; index++) {
    const difference = (one[index] ?? 0) - (other[index] ?? 0)
    if (difference !== 0) return difference
  }
  return one.length - other.length
}

/** Whether both are there and hold the same bytes. */
export function sameBytes(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one !== undefined && other !== undefined && compareBytes(one, other) === 0
}

/** The bits of an unsigned big-endian number, leading zeros not counted. */
export function bitLength(magnitude: Uint8Array): number {
  const start = magnitude.findIndex((byte) => byte !== 0)
  return start < 0 ? 0 : (magnitude.length - start) * 8 - Math.clz32(magnitude[start] ?? 0) + 24
}

/** Lower-case hexadecimal, for showing and naming. */
export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text
}
