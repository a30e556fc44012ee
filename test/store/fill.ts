// Statements that fill a scope with rows as `completeCreation` writes them, inside the database.

/** What the rows of a filled scope have in common. */
export interface Filling {
  readonly zoneId: string
  readonly rows: number
}

/** As long as the request of record with an RSA key. */
const CSR_LENGTH = 1250

const UUID = {
  sqlite: `lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2)
    || '-a' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))`,
  postgres: 'gen_random_uuid()::text',
}

const NUMBERS = {
  sqlite: (rows: number) =>
    `(with recursive counter(n) as (select 1 union all select n + 1 from counter where n < ${rows}) select n from counter)`,
  postgres: (rows: number) => `(select n from generate_series(1, ${rows}) as n)`,
}

const TEXT = {
  sqlite: `hex(zeroblob(${CSR_LENGTH / 2}))`,
  postgres: `repeat('0', ${CSR_LENGTH})`,
}

const ATTESTATION = JSON.stringify({
  level: 'software',
  backend: 'test',
  claims: { extractable: false, algorithm: 'ECDSA' },
  concerns: [],
  observedAt: 0,
})

const SUBJECT = JSON.stringify({
  country: 'US',
  state: 'MA',
  locality: 'Boston',
  organization: 'City of Boston',
  organizationalUnit: 'Championship Parade Detail',
  commonName: 'app.example.com',
})

/** Fills a zone: half of the CSRs have names, each has two SANs. */
export function fillStatements(
  engine: 'sqlite' | 'postgres',
  { zoneId, rows }: Filling,
): readonly string[] {
  const bytes = engine === 'sqlite' ? `x'3059'` : `'\\x3059'::bytea`
  return [
    `create temporary table filling as select n, ${UUID[engine]} as key_id, ${UUID[engine]} as csr_id
       from ${NUMBERS[engine](rows)} as numbers`,
    `insert into scopes (kind, id, csr_count) values ('zone', '${zoneId}', ${rows})`,
    `insert into keys (id, label, backend, uri, key_type, public_key, attestation, state,
       scope_kind, scope_id, created_at)
     select key_id, 'keystay:' || key_id, 'test:', 'test:' || key_id, 'rsa2048', ${bytes},
       '${ATTESTATION}', 'assigned', 'zone', '${zoneId}', 1700000000000 + n
     from filling order by n`,
    `insert into csrs (id, scope_kind, scope_id, key_id, key_state, key_type, name, unnamed,
       common_name, subject, sans, csr, created_at)
     select csr_id, 'zone', '${zoneId}', key_id, 'assigned', 'rsa2048',
       case when n % 2 = 0 then 'name ' || substr(csr_id, 1, 8) end, n % 2,
       'h' || n || '.example.com', '${SUBJECT}', '["h' || n || '.example.com","example.com"]',
       ${TEXT[engine]}, 1700000000000 + n
     from filling order by n`,
    `insert into csr_sans (csr_id, scope_kind, scope_id, name, created_at)
     select csr_id, 'zone', '${zoneId}', 'h' || n || '.example.com', 1700000000000 + n from filling`,
    `insert into csr_sans (csr_id, scope_kind, scope_id, name, created_at)
     select csr_id, 'zone', '${zoneId}', 'example.com', 1700000000000 + n from filling`,
    // By the widths that a list deep down is found with.
    ...[30, 22, 14].map(
      (width) => `insert into csr_counts (scope_kind, scope_id, width, bucket, csr_count)
     select 'zone', '${zoneId}', ${width}, (1700000000000 + n) / ${2 ** width}, count(*)
     from filling group by 4`,
    ),
    'drop table filling',
  ]
}
