import type { DiagnosisStep } from './backend.ts'

/**
 * A step of a diagnosis that did not go well. Our messages say what is wrong and, behind the first
 * semicolon, what would be right.
 */
export function failedStep(
  name: string,
  error: unknown,
  status: 'failed' | 'warning' = 'failed',
): DiagnosisStep {
  const message = error instanceof Error ? error.message : String(error)
  const [, detail = message, remedy] = /^(.+?); (.+)$/s.exec(message) ?? []
  return { name, status, detail, ...(remedy !== undefined && { remedy }) }
}
