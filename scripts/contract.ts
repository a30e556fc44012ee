// Runs the contract suite against any backend: npm run contract -- --backend URI
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { openBackend } from '../backends/index.ts'
import { redactUri } from '../src/key/uri.ts'
import type { KeyBackend } from '../src/key/backend.ts'
import { keyBackendContract, type ContractCase } from '../src/testing/contract/index.ts'

const HELP = `Runs every case of the KeyBackend contract against a backend and says how each ended.
Keys that the cases make are labelled keystay:contract-… and destroyed, or scheduled for it.

Usage: npm run contract -- --backend URI [--only TEXT] [--module FILE] [--json]

  --backend URI   webcrypto:…, pkcs11:… or awskms:… (or the variable KEYSTAY_BACKEND)
  --only TEXT     only the cases whose name contains this
  --module FILE   a backend of your own: a module that exports openBackend(uri)
  --json          the results as JSON

Exit code: 0 when no case failed, 1 when one did, 2 when the command line is wrong.

  npm run contract -- --backend webcrypto:
  npm run contract -- --backend 'pkcs11:token=test?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=env:PIN'
  npm run contract -- --backend my:thing --module ./my-backend.js
`

type Open = (uri: string) => Promise<KeyBackend>

interface Result {
  readonly name: string
  readonly status: 'passed' | 'failed' | 'not-supported'
  readonly reason?: string
  readonly ms: number
}

const MARKS = { passed: '✔', failed: '✘', 'not-supported': '–' } as const

async function loadOpen(file: string | undefined): Promise<Open> {
  if (file === undefined) return openBackend
  const module = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>
  const { openBackend: open } = module
  if (typeof open !== 'function') throw new TypeError(`${file} does not export openBackend(uri)`)
  return open as Open
}

async function runCase({ name, run }: ContractCase): Promise<Result> {
  const started = performance.now()
  const outcome = await run().catch((error: unknown) => ({
    status: 'failed' as const,
    reason: error instanceof Error ? error.message : String(error),
  }))
  return { name, ...outcome, ms: Math.round(performance.now() - started) }
}

function printResult({ name, status, reason, ms }: Result): void {
  const why = reason === undefined ? '' : `\n    ${reason.split('\n').join('\n    ')}`
  console.log(`${MARKS[status]} ${name} (${ms} ms)${why}`)
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      backend: { type: 'string', default: process.env['KEYSTAY_BACKEND'] ?? '' },
      only: { type: 'string', default: '' },
      module: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(HELP)
    return 0
  }
  const uri = values.backend
  if (uri === '') throw new TypeError('name the backend: --backend URI')
  const open = await loadOpen(values.module)
  const all = keyBackendContract(() => open(uri))
  const cases = all.filter(({ name }) => name.includes(values.only))
  if (cases.length === 0) throw new TypeError(`no case has ${values.only} in its name`)

  // Better one complaint than as many as there are cases.
  await (await open(uri)).close()

  const results: Result[] = []
  for (const one of cases) {
    const result = await runCase(one)
    results.push(result)
    if (!values.json) printResult(result)
  }
  const count = (status: Result['status']): number =>
    results.filter((result) => result.status === status).length
  const totals = {
    passed: count('passed'),
    failed: count('failed'),
    notSupported: count('not-supported'),
  }
  console.log(
    values.json
      ? JSON.stringify({ backend: redactUri(uri), ...totals, results }, undefined, 2)
      : `\n${totals.passed} passed, ${totals.failed} failed, ${totals.notSupported} not supported`,
  )
  return totals.failed === 0 ? 0 : 1
}

/** A wrong command line is answered with the help, a backend that does not open is not. */
function complain(error: unknown): number {
  const message = error instanceof Error ? error.message : String(error)
  const usage = error instanceof TypeError
  console.error(usage ? `${message}\n\n${HELP}` : message)
  return usage ? 2 : 1
}

// The exit code is set, not forced, so that all output is written before the process ends.
process.exitCode = await main().catch(complain)
