// From nothing to a request whose key is in a keyring on disk. Needs neither a compiler nor SoftHSM.
// Everything is left in ./quickstart, or the directory named; run it again for another key.
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { openBackend } from '../backends/index.ts'
import { formatCsr } from '../src/cli/inspect-command.ts'
import { CsrBuilder } from '../src/csr/csr-builder.ts'
import { parseCustomCsrRequest } from '../src/csr/request/custom-csr-request.ts'
import { parseCsr } from '../src/csr/parse-csr.ts'
import { encodeUriText } from '../src/key/uri.ts'

process.chdir(resolve(import.meta.dirname, '..'))
const DIRECTORY = process.argv[2] ?? 'quickstart'
const REQUEST = 'examples/request.json'
const SECRET = join(DIRECTORY, 'keyring.secret')
const CSR = join(DIRECTORY, 'app.example.com.csr')

function say(text: string): void {
  console.log(`${text}\n`)
}

/** Makes the secret, unless an earlier run has. */
async function makeSecret(): Promise<void> {
  const secret = `${randomBytes(32).toString('base64')}\n`
  await writeFile(SECRET, secret, { mode: 0o600, flag: 'wx' }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  })
}

function inUri(path: string): string {
  return path.split('/').map(encodeUriText).join('/')
}

function inShell(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}

await mkdir(DIRECTORY, { recursive: true, mode: 0o700 })
await makeSecret()
say(`1. The secret that encrypts the keyring is in ${SECRET}, for its owner alone.`)

const uri = `webcrypto:${inUri(DIRECTORY)}/keyring?secret-source=file:${inUri(resolve(SECRET))}`
await using backend = await openBackend(uri)
say(`2. The keyring is open:\n   ${uri}`)

const { request, keyType = 'rsa2048' } = parseCustomCsrRequest(
  JSON.parse(await readFile(REQUEST, 'utf8')),
)
const key = await backend.generateKey(keyType, { label: `keystay:${randomUUID()}` })
say(`3. A key of type ${keyType} was made in it:\n   ${key.uri}`)

const csr = await new CsrBuilder(request).sign(key)
await writeFile(CSR, csr.pem)
say(`4. It signed the request of ${REQUEST}; the result was verified and is in ${CSR}:`)
say(csr.pem.trimEnd())

say('5. What is in it, as keystay inspect shows it:')
say(formatCsr(process, await parseCsr(csr.pem)).trimEnd())

const [csrFile, tokens, softHsmConf, pinFile] = [
  CSR,
  ...['tokens', 'softhsm2.conf', 'pin'].map((name) => resolve(DIRECTORY, name)),
].map(inShell)
const onSoftHsm = `pkcs11:token=quickstart?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:${inUri(resolve(DIRECTORY, 'pin'))}`

say(`How to go on, in ${process.cwd()}:

   openssl req -in ${csrFile} -noout -verify -text
   npx keystay inspect ${csrFile}

   export KEYSTAY_BACKEND='${uri}'
   npx keystay keys list
   npx keystay keys show '${key.uri}'
   npx keystay csr --in ${REQUEST} --key-type ed25519
   npx keystay doctor

The same with SoftHSM (apt install softhsm2); for keystay only the URI is another one:

   mkdir -p ${tokens}
   echo directories.tokendir = ${tokens} > ${softHsmConf}
   export SOFTHSM2_CONF=${softHsmConf}
   (umask 077; openssl rand -hex 8 > ${pinFile})
   softhsm2-util --init-token --free --label quickstart --pin "$(cat ${pinFile})" --so-pin "$(cat ${pinFile})"
   npx keystay csr --in ${REQUEST} --backend '${onSoftHsm}'

The same with AWS KMS, given credentials as for the AWS CLI (a key costs about $1 a month); or, to
try it without an account, run npm run --silent kms-emulator elsewhere and paste here what it prints:

   npx keystay csr --in ${REQUEST} --backend awskms:region=us-east-1

npx keystay --help tells the rest.`)
