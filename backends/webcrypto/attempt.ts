import { KeystayError } from '../../src/errors.ts'
import type { DiagnosisStep } from '../../src/key/backend.ts'
import { failedStep } from '../../src/key/failed-step.ts'

/** A step that was taken, and what it led to unless it failed. */
interface Attempt<Value> {
  readonly step: DiagnosisStep
  readonly value: Value | undefined
}

/** Takes a step: an expected failure is what a diagnosis is there to find. */
export async function attempt<Value>(
  name: string,
  action: () => Value | Promise<Value>,
  describe: (value: Value) => string,
): Promise<Attempt<Value>> {
  try {
    const value = await action()
    return { step: { name, status: 'ok', detail: describe(value) }, value }
  } catch (error) {
    if (!(error instanceof KeystayError)) throw error
    return { step: failedStep(name, error), value: undefined }
  }
}
