import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A directory for a test's files, and how to be rid of it. */
export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'keystay-csr-'))
  return {
    path,
    remove: () => {
      rmSync(path, { recursive: true, force: true })
    },
  }
}

/** What `openssl` prints; rejects where it fails. */
export async function openssl(args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run('openssl', args, { maxBuffer: 1 << 26 })
  return stdout + stderr
}

/** Verifies requests one by one; answers how many `openssl req` found right. */
export async function verifyEach(path: string, requests: readonly string[]): Promise<number> {
  mkdirSync(path)
  for (const [index, pem] of requests.entries()) writeFileSync(join(path, `${index}.csr`), pem)
  const loop = 'for file in *.csr; do openssl req -in "$file" -noout -verify 2>&1 || exit 1; done'
  const { stdout } = await run('sh', ['-c', loop], { cwd: path, maxBuffer: 1 << 26 })
  return stdout.match(/verify OK$/gm)?.length ?? 0
}

const CA_CONFIGURATION = `[ca]
default_ca = default
[default]
database = index.txt
serial = serial
new_certs_dir = .
certificate = ../ca.pem
private_key = ../ca.key
default_md = sha256
default_days = 1
policy = anything
unique_subject = no
copy_extensions = copyall
[anything]
`

/** A CA of OpenSSL that certifies whatever it can verify. */
export interface CertificateAuthority {
  /**
   * Verifies requests in one process and issues a certificate for each, the extensions copied.
   * Answers how many it found right.
   */
  certify(requests: readonly string[]): Promise<number>
}

export async function createCertificateAuthority(path: string): Promise<CertificateAuthority> {
  const key = join(path, 'ca.key')
  await openssl(['ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', key])
  const certificate = ['-subj', '/CN=ca', '-out', join(path, 'ca.pem')]
  await openssl(['req', '-x509', '-new', '-key', key, ...certificate])
  let batches = 0
  return {
    certify: async (requests) => {
      // A fresh database each time: OpenSSL searches it from end to end for every certificate.
      const cwd = join(path, `batch-${batches++}`)
      mkdirSync(cwd)
      for (const [index, pem] of requests.entries()) writeFileSync(join(cwd, `${index}.csr`), pem)
      writeFileSync(join(cwd, 'ca.cnf'), CA_CONFIGURATION)
      writeFileSync(join(cwd, 'index.txt'), '')
      writeFileSync(join(cwd, 'serial'), '01\n')
      const options = ['-batch', '-config', 'ca.cnf', '-preserveDN', '-notext', '-out', 'out.pem']
      const files = requests.map((_, index) => `${index}.csr`)
      const { stderr } = await run('openssl', ['ca', ...options, '-infiles', ...files], {
        cwd,
        maxBuffer: 1 << 26,
      })
      return stderr.match(/^Certificate is to be certified/gm)?.length ?? 0
    },
  }
}
