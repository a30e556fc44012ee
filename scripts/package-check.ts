// What a consumer would meet: packs the package, then has publint and attw judge the tarball.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const directory = mkdtempSync(join(tmpdir(), 'keystay-pack-'))
try {
  execFileSync('npm', ['pack', '--silent', '--pack-destination', directory], { stdio: 'pipe' })
  const tarball = join(directory, readdirSync(directory)[0] ?? '')
  execFileSync('publint', ['run', '--strict', tarball], { stdio: 'inherit' })
  // ESM only: CommonJS callers on Node 22 and later use require(esm).
  execFileSync('attw', [tarball, '--profile', 'esm-only'], { stdio: 'inherit' })
} finally {
  rmSync(directory, { recursive: true, force: true })
}
