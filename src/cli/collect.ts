/** Lists may be given as several options, or as one with commas. */
export function collectList(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, ...value.split(',')]
}
