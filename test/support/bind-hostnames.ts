import { DatabaseSync } from 'node:sqlite'
import type { BindHostnames } from '../../src/testing/store-contract/index.ts'
import { runSql } from '../support/postgres.ts'

function statements(csrId: string, zoneId: string, hostnames: readonly string[]): string[] {
  const certificate = crypto.randomUUID()
  return [
    `insert into certificates (id, csr_id, chain, sha256, issuer, serial_number, signature,
       not_before, not_after, uploaded_at)
     values ('${certificate}', '${csrId}', 'PEM', '${certificate}', 'CN=Test', '1',
       'ECDSAWithSHA256', 0, 1, 0)`,
    ...hostnames.map(
      (hostname) =>
        `insert into hostnames (id, zone_id, hostname, certificate_id, status, created_at)
         values ('${crypto.randomUUID()}', '${zoneId}', '${hostname}', '${certificate}', 'active', 0)`,
    ),
  ]
}

/** Binds in a PostgreSQL database, as another server would. */
export function bindInPostgres(uri: string): BindHostnames {
  return async ({ id, scope }, hostnames) => {
    await runSql(uri, 'begin', ...statements(id, scope.id, hostnames), 'commit')
  }
}

/** Binds in a SQLite file, as another process would. */
export function bindInSqlite(file: string): BindHostnames {
  return async ({ id, scope }, hostnames) => {
    const database = new DatabaseSync(file, { timeout: 10_000 })
    try {
      database.exec('begin immediate')
      for (const statement of statements(id, scope.id, hostnames)) database.exec(statement)
      database.exec('commit')
    } finally {
      database.close()
    }
  }
}
