import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const run = promisify(execFile)
const here = import.meta.dirname

describe('the contract runs', () => {
  test('under node:test, where what is not supported is skipped with the reason', async () => {
    const program = join(here, 'contract-under-node-test.ts')
    const { stdout } = await run(process.execPath, ['--test-reporter=tap', program])
    expect(stdout).toMatch(/^# pass \d{2}$/m)
    expect(stdout).toMatch(/^# fail 0$/m)
    expect(stdout).toMatch(/^ok .*opened again # SKIP keys die with the process here/m)
  })

  const script = resolve(here, '../../scripts/contract.ts')
  const contract = async (...given: string[]): Promise<{ code: unknown; output: string }> => {
    const env = { ...process.env, KEYSTAY_BACKEND: '' }
    return run(process.execPath, [script, ...given], { env }).then(
      ({ stdout }) => ({ code: 0, output: stdout }),
      (error: unknown) => {
        const { code, stdout, stderr } = error as { code: unknown; stdout: string; stderr: string }
        return { code, output: stdout + stderr }
      },
    )
  }

  test('as a command, and says how many cases passed, failed and were not supported', async () => {
    const { code, output } = await contract('--backend', 'webcrypto:', '--only', 'keys:')
    expect(output).toMatch(/^– keys: still there.*\n {4}keys die with the process here/m)
    expect(output).toContain('0 passed, 0 failed, 1 not supported')
    expect(code).toBe(0)
  })

  test('as a command on a backend of one’s own, and fails when a case does', async () => {
    const module = join(here, 'broken-backend.ts')
    const { code, output } = await contract(
      ...['--module', module, '--backend', 'broken:', '--only', 'destroyKey', '--json'],
    )
    expect(JSON.parse(output)).toMatchObject({ passed: 1, failed: 3, notSupported: 0 })
    expect(code).toBe(1)
  })

  test.each([
    [2, []],
    [2, ['--backend', 'webcrypto:', '--only', 'no such case']],
    [2, ['--unknown']],
    [1, ['--backend', 'nowhere:']],
  ])('as a command, exit code %i for %j', async (expected, given) => {
    expect((await contract(...given)).code).toBe(expected)
  })
})
