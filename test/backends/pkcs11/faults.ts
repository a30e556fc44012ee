import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Fault } from './faulty-pkcs11.ts'

const directory = mkdtempSync(join(tmpdir(), 'keystay-faults-'))
process.env['KEYSTAY_TEST_FAULTS'] = directory
let planted = 0

/** The package to give as the option `pkcs11js`. */
export const faultyPkcs11 = createRequire(import.meta.url)('./faulty-pkcs11.ts') as object

/** The next call of this function goes so; or all of them, with `always`. */
export function plantFault(call: string, fault: Fault, always = false): void {
  const name = `${call}~${always ? 'always' : ''}${String(planted++).padStart(4, '0')}`
  writeFileSync(join(directory, name), JSON.stringify(fault))
}

/** All is well again. */
export function clearFaults(): void {
  for (const file of readdirSync(directory)) rmSync(join(directory, file), { force: true })
}

/** The functions called since the faults were cleared, in the main thread or in others. */
export function listCalls(file: 'calls' | 'main-calls' = 'calls'): string[] {
  const path = join(directory, file)
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
}

/** How often a function was called since the faults were cleared, in threads of its own. */
export function countCalls(call: string): number {
  return listCalls().filter((name) => name === call).length
}

/** Removes what the faults needed. */
export function disposeFaults(): void {
  rmSync(directory, { recursive: true, force: true })
}
