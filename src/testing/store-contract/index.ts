import type { Store } from '../../store/store.ts'
import type { ContractCase } from '../contract/index.ts'
import { callCases } from './call-cases.ts'
import { creationCases } from './creation-cases.ts'
import { deletionCases } from './deletion-cases.ts'
import { eventCases } from './event-cases.ts'
import { idempotencyCases } from './idempotency-cases.ts'
import { keyCases } from './key-cases.ts'
import { listCases } from './list-cases.ts'
import { onStoreBench, type BindHostnames } from './workbench.ts'

export type { BindHostnames } from './workbench.ts'

/** How the suite is run. */
export interface StoreContractOptions {
  /** Writes a certificate and hostnames; cases that need them are skipped without it. */
  readonly bind?: BindHostnames | undefined
}

/**
 * Everything that `Store` promises, as cases for any test runner; see `registerContract`. Each case
 * opens the store anew, works in a zone of its own, and closes what it opened.
 * @param open opens the same store each time
 */
export function storeContract(
  open: () => Promise<Store>,
  { bind }: StoreContractOptions = {},
): readonly ContractCase[] {
  const cases = {
    ...callCases,
    ...creationCases,
    ...idempotencyCases,
    ...keyCases,
    ...listCases,
    ...deletionCases,
    ...eventCases,
  }
  return Object.entries(cases).map(([name, work]) => ({
    name,
    run: () => onStoreBench(open, bind, work),
  }))
}
