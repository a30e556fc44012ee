import type { FailureReason } from '../engine.ts'

// Result codes of SQLite (sqlite.org/rescode.html); the low byte of an extended code is the primary.
const BUSY = 5
const LOCKED = 6
const NOMEM = 7
const READONLY = 8
const INTERRUPT = 9
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const PROTOCOL = 15
const NOTADB = 26
const PERM = 3
const CONSTRAINT_FOREIGNKEY = 787
// "ON DELETE RESTRICT" is a trigger to SQLite. Our own triggers guard the events, which no
// statement of the store changes, so this is always a reference.
const CONSTRAINT_TRIGGER = 1811

const REASONS: ReadonlyMap<number, FailureReason> = new Map([
  [PERM, 'read_only'],
  [BUSY, 'unavailable'],
  [LOCKED, 'unavailable'],
  [NOMEM, 'unavailable'],
  [READONLY, 'read_only'],
  [INTERRUPT, 'unavailable'],
  [IOERR, 'unavailable'],
  [CORRUPT, 'damaged'],
  [FULL, 'full'],
  [CANTOPEN, 'unavailable'],
  [PROTOCOL, 'unavailable'],
  [NOTADB, 'damaged'],
  [CONSTRAINT_FOREIGNKEY, 'referenced'],
  [CONSTRAINT_TRIGGER, 'referenced'],
])

/** The extended result code in an error of `node:sqlite`. */
export function readResultCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown }
  return typeof errcode === 'number' ? errcode : undefined
}

/** Whether another connection was at work. */
export function isBusy(resultCode: number | undefined): boolean {
  return resultCode !== undefined && (resultCode & 0xff) === BUSY
}

/** What an extended result code means to the store. */
export function reasonOfResultCode(resultCode: number): FailureReason {
  return REASONS.get(resultCode) ?? REASONS.get(resultCode & 0xff) ?? 'other'
}
