/** What can be bound to a parameter. */
export type SqliteValue = string | number | bigint | null | Uint8Array

/** A row, by column. */
export type SqliteRow = Readonly<Record<string, SqliteValue>>

/** How a database file is opened. */
export interface OpenOptions {
  /** Absolute, or `:memory:`. */
  readonly file: string
  /** How long to wait for another process that writes. */
  readonly busyTimeoutMs: number
}

/** What the thread is asked: a statement, or to end an open transaction if there is one, or to close. */
export type SqliteRequest =
  | { readonly id: number; readonly open: OpenOptions }
  | { readonly id: number; readonly sql: string; readonly parameters: readonly SqliteValue[] }
  | { readonly id: number; readonly rollback: true }
  | { readonly id: number; readonly close: true }

/** What a statement led to. */
export interface SqliteResult {
  readonly rows: readonly SqliteRow[]
  readonly changes: number
}

/** A failure, in a form that can be sent. */
export interface SqliteFailure {
  readonly message: string
  /** SQLite's extended result code; absent where it was not SQLite that failed. */
  readonly resultCode: number | undefined
}

/** What the thread answers. */
export type SqliteReply =
  | { readonly id: number; readonly result: SqliteResult }
  | { readonly id: number; readonly failure: SqliteFailure }
