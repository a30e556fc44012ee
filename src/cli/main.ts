#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { runCli } from './run.ts'

const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { readonly version: string }

const controller = new AbortController()
let stoppedBy = 0
for (const [name, exitCode] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(name, () => {
    // Whoever asks twice does not want to wait for a device that does not answer.
    if (stoppedBy !== 0) process.exit(exitCode)
    stoppedBy = exitCode
    controller.abort()
  })
}

// A write to a closed pipe rejects where it was awaited; the event says nothing more.
process.stdout.on('error', () => undefined)
process.stderr.on('error', () => undefined)

const { stdin, stdout, stderr, env } = process
const exitCode = await runCli(process.argv.slice(2), {
  stdin,
  stdout,
  stderr,
  env,
  signal: controller.signal,
  version,
})
process.exitCode = exitCode === 130 ? stoppedBy : exitCode
