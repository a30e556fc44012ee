import { setTimeout as delay } from 'node:timers/promises'
import { KmsEmulatorError, type KmsErrorName } from './errors.ts'

/**
 * Something that goes wrong with a call:
 * - `error`: the answer is this error; with `afterWork` the work has been done all the same.
 * - `drop`: the connection ends without an answer, before or after the work.
 * - `delay`: the answer comes late.
 */
export type KmsFault =
  | { readonly kind: 'error'; readonly name: KmsErrorName; readonly afterWork?: boolean }
  | { readonly kind: 'drop'; readonly afterWork?: boolean }
  | { readonly kind: 'delay'; readonly ms: number }

/** The connection is to be ended without an answer. */
export class DroppedConnection extends Error {}

/** The faults and throttles that are set at the moment. */
export interface FaultPlan {
  readonly queues: Map<string, { readonly fault: KmsFault; left: number }[]>
  readonly quotas: Map<string, number>
  readonly recentCalls: Map<string, number[]>
}

/** A plan in which nothing goes wrong. */
export function createFaultPlan(): FaultPlan {
  return { queues: new Map(), quotas: new Map(), recentCalls: new Map() }
}

/** Refuses a call beyond the quota of its operation in the last second. */
export function checkQuota(plan: FaultPlan, operation: string): void {
  const quota = plan.quotas.get(operation)
  if (quota === undefined) return
  const now = Date.now()
  const recent = (plan.recentCalls.get(operation) ?? []).filter((time) => time > now - 1000)
  plan.recentCalls.set(operation, recent)
  if (recent.length >= quota) throw new KmsEmulatorError('ThrottlingException', 'Rate exceeded')
  recent.push(now)
}

function takeFault(plan: FaultPlan, operation: string): KmsFault | undefined {
  const queue = plan.queues.get(operation)
  const next = queue?.[0]
  if (next === undefined) return undefined
  next.left--
  if (next.left <= 0) queue?.shift()
  return next.fault
}

function strike(fault: KmsFault): void {
  if (fault.kind === 'drop') throw new DroppedConnection()
  if (fault.kind === 'error') {
    throw new KmsEmulatorError(fault.name, `${fault.name} was asked of the emulator`)
  }
}

/** Does the work of one call, with the fault that is next for its operation. */
export async function withFault<Answer>(
  plan: FaultPlan,
  operation: string,
  work: () => Promise<Answer>,
  signal: AbortSignal,
): Promise<Answer> {
  const fault = takeFault(plan, operation)
  if (fault === undefined) return work()
  if (fault.kind === 'delay') {
    const answer = await work()
    await delay(fault.ms, undefined, { signal })
    return answer
  }
  if (fault.afterWork !== true) strike(fault)
  const answer = await work()
  strike(fault)
  return answer
}
