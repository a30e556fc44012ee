import { randomUUID } from 'node:crypto'
import type { CustomCsrInput, Scope } from '../../src/lifecycle/index.ts'

/** The request of record. */
export const INPUT: CustomCsrInput = {
  country: 'US',
  state: 'MA',
  locality: 'Boston',
  organization: 'City of Boston',
  organizationalUnit: 'Championship Parade Detail',
  commonName: 'app.example.com',
  sans: ['app.example.com', 'www.example.com', 'blog.example.com', 'example.com'],
  keyType: 'p256v1',
}

/** A zone that nobody has used. */
export function newZone(): Scope {
  return { kind: 'zone', id: randomUUID() }
}
