import type { Writable } from 'node:stream'
import type { Attestation } from '../key/attestation.ts'
import type { KeyDestruction } from '../key/backend.ts'
import { paint, printable, showDate } from './io.ts'

/** A name and what belongs to it, one line each. */
export type Field = readonly [name: string, lines: string | readonly string[]]

/** Names on the left, values aligned on the right; names without a value are left out. Texts from outside must be printable already. */
export function formatFields(stream: Writable, fields: readonly Field[]): string {
  const width = Math.max(...fields.map(([name]) => name.length)) + 2
  const rows = fields.flatMap(([name, lines]) =>
    [lines]
      .flat()
      .map(
        (line, index) =>
          `${paint(stream, 'bold', (index === 0 ? name : '').padEnd(width))}${line}\n`,
      ),
  )
  return rows.join('')
}

/** What a backend says of how a key is kept, for reading. */
export function attestationFields(attestation: Attestation): readonly Field[] {
  const { level, backend, claims, concerns, evidence } = attestation
  return [
    ['Kept', `${level} (${printable(backend)})`],
    [
      'Claims',
      Object.entries(claims).map(([name, value]) =>
        printable(`${name} = ${value === null ? 'no answer' : String(value)}`),
      ),
    ],
    ['Concerns', concerns.map(printable)],
    ['Evidence', evidence === undefined ? [] : printable(evidence.format)],
  ]
}

/** The same for programs. */
export function attestationJson(attestation: Attestation): object {
  const { level, backend, claims, concerns, evidence, observedAt } = attestation
  return { level, backend, claims, concerns, evidence: evidence ?? null, observed_at: observedAt }
}

/** What became of a key that was to be destroyed, for reading. */
export function describeDestruction(destruction: KeyDestruction): string {
  return destruction.state === 'destroyed'
    ? 'destroyed'
    : `scheduled for ${showDate(destruction.at)}; until then the device can bring it back`
}
