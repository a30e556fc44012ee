import {
  sql,
  type ColumnDefinitionBuilder,
  type ColumnDefinitionBuilderCallback,
  type Expression,
  type RawBuilder,
} from 'kysely'
import type { EngineName } from '../engine.ts'

/** How an engine names what the tables are made of. */
export interface ColumnTypes {
  /** Compared byte by byte, so that every engine sorts alike. */
  readonly text: Expression<string>
  /** 64 bits. */
  readonly integer: 'integer' | 'bigint'
  readonly bytes: 'blob' | 'bytea'
  /** Makes an integer column number its rows, never twice the same. */
  readonly sequence: ColumnDefinitionBuilderCallback
  /** What stands at the end of a table's definition. */
  readonly tableEnd: RawBuilder<unknown> | undefined
}

/** The types of an engine's columns. */
export function columnTypes(engine: EngineName): ColumnTypes {
  if (engine === 'sqlite') {
    return {
      text: sql<string>`text`,
      integer: 'integer',
      bytes: 'blob',
      sequence: (column: ColumnDefinitionBuilder) => column.primaryKey().autoIncrement(),
      tableEnd: sql`strict`,
    }
  }
  return {
    text: sql<string>`text collate "C"`,
    integer: 'bigint',
    bytes: 'bytea',
    sequence: (column: ColumnDefinitionBuilder) => column.generatedAlwaysAsIdentity().primaryKey(),
    tableEnd: undefined,
  }
}
