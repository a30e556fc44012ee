import type { KeyBackend } from '../../key/backend.ts'
import { callCases } from './call-cases.ts'
import { destructionCases } from './destruction-cases.ts'
import { labelCases } from './label-cases.ts'
import { lookupCases } from './lookup-cases.ts'
import { signingCases } from './signing-cases.ts'
import { onWorkbench, type ContractOutcome } from './workbench.ts'

export type { ContractOutcome } from './workbench.ts'

/** One promise of the seam, tried on a backend. */
export interface ContractCase {
  readonly name: string
  /** Rejects where the backend breaks the promise. */
  readonly run: () => Promise<ContractOutcome>
}

/** How the suite is run. */
export interface ContractOptions {
  /** What the labels of all keys begin with: 1 to 32 characters. Default: `keystay:contract-`. */
  readonly labelPrefix?: string
}

/**
 * Everything that `KeyBackend` and `BackendKey` promise, as cases for any test runner. Each case
 * opens the backend anew, destroys the keys that it made, and closes what it opened.
 * @param open opens the same backend (token, account, directory) each time
 */
export function keyBackendContract(
  open: () => Promise<KeyBackend>,
  { labelPrefix = 'keystay:contract-' }: ContractOptions = {},
): readonly ContractCase[] {
  const cases = {
    ...callCases,
    ...signingCases,
    ...labelCases,
    ...lookupCases,
    ...destructionCases,
  }
  return Object.entries(cases).map(([name, work]) => ({
    name,
    run: () => onWorkbench(open, labelPrefix, work),
  }))
}

/** What `test` of vitest and of `node:test` have in common. */
export type RegisterTest = (
  name: string,
  body: (context: { skip(reason?: string): unknown }) => Promise<void>,
) => unknown

/**
 * Registers the cases as tests; what the backend does not support is skipped, with the reason.
 * @example
 * registerContract(test, keyBackendContract(() => openMyBackend()))
 */
export function registerContract(test: RegisterTest, cases: readonly ContractCase[]): void {
  for (const { name, run } of cases) {
    void test(name, async (context) => {
      const outcome = await run()
      if (outcome.status === 'not-supported') context.skip(outcome.reason)
    })
  }
}
