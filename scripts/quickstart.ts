// The whole life of a custom CSR: created, listed, fetched, deleted, by the service with its keys in
// a keyring on disk and its rows in SQLite. Needs neither a compiler nor SoftHSM. Everything is left
// in ./quickstart, or the directory named; run it again for another CSR.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { openBackend } from '../backends/index.ts'
import { createHandler, grantAccess } from '../src/http/index.ts'
import { encodeUriText } from '../src/key/uri.ts'
import { CustomCsrService } from '../src/lifecycle/index.ts'
import { openStore } from '../src/store/index.ts'

process.chdir(resolve(import.meta.dirname, '..'))
const DIRECTORY = resolve(process.argv[2] ?? 'quickstart')
const SECRET = join(DIRECTORY, 'keyring.secret')
const ENVIRONMENT = join(DIRECTORY, 'env')
const CSR = join(DIRECTORY, 'app.example.com.csr')
const ZONE = 'demo'
const EMAIL = 'you@example.com'
const API = 'http://127.0.0.1:8787/client/v4'

const backendUri = `webcrypto:${inUri(join(DIRECTORY, 'keyring'))}?secret-source=file:${inUri(SECRET)}`
const storeUri = `sqlite:${join(DIRECTORY, 'keystay.db')}`

function say(text: string): void {
  console.log(`${text}\n`)
}

function inUri(path: string): string {
  return path.split('/').map(encodeUriText).join('/')
}

function inShell(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

/** Writes a file for its owner alone, unless an earlier run has. */
async function writeOnce(path: string, content: () => string | Promise<string>): Promise<void> {
  try {
    await readFile(path)
  } catch {
    await writeFile(path, await content(), { mode: 0o600, flag: 'wx' })
  }
}

/** What `keystay serve` and its clients need, to be read by a shell. */
async function describeEnvironment(): Promise<string> {
  const credentials = join(DIRECTORY, 'credentials.json')
  const grant = ['--email', EMAIL, '--zone', ZONE, '--role', 'edit', '--json']
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...['src/cli/main.ts', 'credential', 'create', '--credentials', credentials, ...grant],
  ])
  const { secret } = JSON.parse(stdout) as { secret: string }
  const variables = {
    KEYSTAY_BACKEND: backendUri,
    KEYSTAY_STORE: storeUri,
    KEYSTAY_CREDENTIALS: credentials,
    API,
    ZONE,
    EMAIL,
    SECRET: secret,
  }
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}=${inShell(value)}\n`)
    .join('')
}

await mkdir(DIRECTORY, { recursive: true, mode: 0o700 })
await writeOnce(SECRET, () => `${randomBytes(32).toString('base64')}\n`)
await using backend = await openBackend(backendUri)
await using store = await openStore(storeUri)
await using service = new CustomCsrService({ backend, store })
say(`The service keeps its keys in ${backend.uri}
and remembers CSRs in ${store.uri}`)

const handler = createHandler(service, {
  authorize: () => grantAccess({ actor: EMAIL, role: 'edit', zones: [ZONE] }),
  onError: (error) => {
    console.error(error)
  },
})

/** Asks the handler as an HTTP server would, and prints the answer. */
async function ask(
  what: string,
  method: string,
  path: string,
  body?: object,
): Promise<Record<string, unknown>> {
  const answer = await handler(
    new Request(`${API}/zones/${ZONE}/custom_csrs${path}`, {
      method,
      headers: { 'Content-Type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    }),
  )
  const text = await answer.text()
  const parsed = JSON.parse(text) as { result: Record<string, unknown> }
  say(`${what}: ${method} …/custom_csrs${path} → ${answer.status}
${JSON.stringify(parsed, undefined, 2)}`)
  if (!answer.ok) throw new Error(`${method} was answered with ${answer.status}`)
  return parsed.result
}

const request = JSON.parse(await readFile('examples/request.json', 'utf8')) as object
const kept = await ask('1. A custom CSR is created', 'POST', '', request)
const short = await ask('2. Another one, to be deleted', 'POST', '', {
  ...request,
  name: 'short-lived',
})
await ask('3. They are listed', 'GET', '?per_page=5&order=created_at&direction=desc')
const { csr } = await ask('4. One is fetched', 'GET', `/${String(kept['id'])}`)
await ask('5. The other is deleted, its key with it', 'DELETE', `/${String(short['id'])}`)

await writeFile(CSR, String(csr))
await writeOnce(ENVIRONMENT, describeEnvironment)

const [csrFile, environment, tokens, softHsmConf, pinFile] = [
  CSR,
  ENVIRONMENT,
  ...['tokens', 'softhsm2.conf', 'pin'].map((name) => join(DIRECTORY, name)),
].map(inShell)
const onSoftHsm = `pkcs11:token=quickstart?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:${inUri(join(DIRECTORY, 'pin'))}`

say(`The request for the customer is in ${CSR}. How to go on, in ${process.cwd()}:

   openssl req -in ${csrFile} -noout -verify -text
   npx keystay inspect ${csrFile}
   . ${environment}
   npx keystay keys list
   npx keystay doctor

The same over HTTP: start the server here, and paste the rest into another terminal:

   . ${environment} && npx keystay serve

   . ${environment}
   curl "$API/zones/$ZONE/custom_csrs" -H "X-Auth-Email: $EMAIL" -H "X-Auth-Key: $SECRET" -H 'Content-Type: application/json' -d @examples/request.json
   curl "$API/zones/$ZONE/custom_csrs" -H "Authorization: Bearer $SECRET"

With SoftHSM (apt install softhsm2) in the keyring's place: new keys are made there, and what is in
the keyring keeps working:

   mkdir -p ${tokens}
   echo directories.tokendir = ${tokens} > ${softHsmConf}
   export SOFTHSM2_CONF=${softHsmConf}
   (umask 077; openssl rand -hex 8 > ${pinFile})
   softhsm2-util --init-token --free --label quickstart --pin "$(cat ${pinFile})" --so-pin "$(cat ${pinFile})"
   export KEYSTAY_BACKEND='${onSoftHsm}'
   npx keystay csr --in examples/request.json

With AWS KMS, given credentials as for the AWS CLI (a key costs about $1 a month); or, to try it
without an account, run npm run --silent kms-emulator elsewhere and paste here what it prints:

   export KEYSTAY_BACKEND=awskms:region=us-east-1
   npx keystay csr --in examples/request.json

npx keystay --help tells the rest.`)
