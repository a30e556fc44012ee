/** Whether every database can hold these texts: PostgreSQL has no null character in text. */
export function canBeStored(...texts: readonly (string | undefined)[]): boolean {
  return !texts.some((text) => text?.includes('\0') === true)
}
