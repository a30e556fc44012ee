import { Command, Option } from 'commander'
import { KEY_TYPE_NAMES, SIGNATURE_ALGORITHM_NAMES } from '../csr/algorithms.ts'
import { SUBJECT_FIELDS, attributeTypeByName } from '../csr/request/attribute-types.ts'
import { EXT_KEY_USAGES, KEY_USAGES } from '../csr/request/extensions.ts'
import { collectList } from './collect.ts'
import type { CliContext } from './context.ts'
import { createCsr, type CsrOptions } from './csr-command.ts'
import { diagnose, type DoctorOptions } from './doctor-command.ts'
import { CSR_HELP, DOCTOR_HELP, INSPECT_HELP, KEYS_HELP, PROGRAM_HELP } from './help.ts'
import { inspectCsr } from './inspect-command.ts'
import { paint } from './io.ts'
import { destroyKey, listKeys, showKey } from './keys-command.ts'
import type { DestroyOptions, ListOptions } from './keys-command.ts'
import { addCredential, addServe } from './serving-commands.ts'

/** The whole command: its subcommands, options and help. */
export function createProgram(context: CliContext, version: string): Command {
  const program = new Command('keystay')
    .description('Certificate signing requests whose private keys never leave your HSM or KMS.')
    .version(version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .option('--json', 'answer as JSON on standard output')
    .option('--debug', 'show stack traces and causes of a failure')
    .addHelpText('after', PROGRAM_HELP)
  configureOutput(program, context)
  addCsr(program, context)
  addInspect(program, context)
  addKeys(program, context)
  addDoctor(program, context)
  addServe(program, context)
  addCredential(program, context)
  return program
}

/** Set before subcommands are added: they inherit it. */
function configureOutput(program: Command, { io }: CliContext): void {
  const { stdout, stderr } = io
  program
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      // Errors are shown where all others are.
      outputError: () => undefined,
      getOutHelpWidth: () => stdout.columns ?? 100,
      getErrHelpWidth: () => stderr.columns ?? 100,
      getOutHasColors: () => true,
      getErrHasColors: () => false,
    })
    .configureHelp({
      showGlobalOptions: true,
      styleTitle: (title) => paint(stdout, 'bold', title),
    })
}

function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value]
}

function addBackendOption(command: Command): Command {
  return command.option('-b, --backend <uri>', 'where the keys are (default: $KEYSTAY_BACKEND)')
}

function addCsr(program: Command, context: CliContext): void {
  const command = program
    .command('csr')
    .summary('create a key in the backend, and have it sign a request')
    .description(
      'Creates a private key in the backend, and prints a certificate signing request that it signed.',
    )
    .addHelpText('after', CSR_HELP)
    .action((options: CsrOptions) => createCsr(context, options))
  addBackendOption(command)
    .option('-i, --in <file>', 'the request as JSON, - for standard input; options override it')
    .option('-o, --out <file>', 'write the request there instead of to standard output')
    .option('--force', 'let --out replace a file')
  command
    .optionsGroup('Key:')
    .addOption(
      new Option('-t, --key-type <type>', 'kind of key (default: rsa2048)').choices(KEY_TYPE_NAMES),
    )
    .option('-l, --label <label>', "the key's label (default: keystay:<random UUID>)")
    .addOption(
      new Option('-k, --key <uri>', 'sign with this key instead of a new one').conflicts('label'),
    )
    .addOption(
      new Option('--signature-algorithm <name>', 'default: the one that fits the key').choices(
        SIGNATURE_ALGORITHM_NAMES,
      ),
    )
  addRequestOptions(command)
}

const SHORTCUTS: Readonly<Record<string, string>> = {
  commonName: '--cn, ',
  organization: '--o, ',
  organizationalUnit: '--ou, ',
  country: '--c, ',
  state: '--st, ',
  locality: '--l, ',
}

function addRequestOptions(command: Command): void {
  command
    .optionsGroup('Names:')
    .option(
      '-s, --san <name>',
      'alternative name, repeatable: dns:…, ip:…, email:…, uri:…, upn:…; without a prefix an IP address or a DNS name',
      collect,
    )
    .addOption(
      new Option('--idn <how>', 'international DNS names (default: refuse)').choices([
        'refuse',
        'convert',
      ]),
    )
    .optionsGroup('Subject:')
  for (const field of SUBJECT_FIELDS) {
    const flag = field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    const { shortName, repeats } = attributeTypeByName(field) ?? { shortName: '', repeats: false }
    const description = `${shortName}${repeats ? ', repeatable' : ''}`
    command.option(`${SHORTCUTS[field] ?? ''}--${flag} <text>`, description, collect)
  }
  command
    .option('--subject-oid <oid=text>', 'any other attribute, repeatable', collect)
    .optionsGroup('Extensions:')
    .option(
      '--key-usage <list>',
      `repeatable or with commas: ${KEY_USAGES.join(', ')}`,
      collectList,
    )
    .option(
      '--ext-key-usage <list>',
      `the same: ${Object.keys(EXT_KEY_USAGES).join(', ')}, or an OID`,
      collectList,
    )
    .option('--ca', 'ask for a CA certificate')
    .option('--path-len <number>', 'how many CAs may follow below it')
    .option('--must-staple', 'demand OCSP stapling (RFC 7633)')
    .option('--template <name>', 'certificate template of Microsoft Certificate Services')
    .option('--extension <oid=hex>', 'any other as DER, repeatable; critical:OID=HEX', collect)
    .option(
      '--challenge-password-file <file>',
      'a password that some CAs want; the request shows it to everybody',
    )
}

function addInspect(program: Command, context: CliContext): void {
  program
    .command('inspect')
    .summary('show what is in a request, and verify its signature')
    .description('Shows what is in any certificate signing request, and verifies its signature.')
    .argument('<file>', 'PEM, DER or base64; - for standard input')
    .addHelpText('after', INSPECT_HELP)
    .action((file: string) => inspectCsr(context, file))
}

function addKeys(program: Command, context: CliContext): void {
  const keys = program
    .command('keys')
    .summary('list, show and destroy keys')
    .description('Lists, shows and destroys the keys of a backend.')
    .addHelpText('after', KEYS_HELP)
  addBackendOption(keys.command('list'))
    .description('Lists keys.')
    .option('-l, --label <prefix>', 'only keys whose label begins so')
    .action((options: ListOptions) => listKeys(context, options))
  addBackendOption(keys.command('show'))
    .description('Shows one key: its label, type and public key, and how it is kept.')
    .argument('<key-uri>')
    .action((uri: string, options: ListOptions) => showKey(context, uri, options))
  addBackendOption(keys.command('destroy'))
    .description('Destroys a key for good, or schedules that where the device waits.')
    .argument('<key-uri>')
    .option('-y, --yes', 'do not ask')
    .action((uri: string, options: DestroyOptions) => destroyKey(context, uri, options))
}

function addDoctor(program: Command, context: CliContext): void {
  const command = program
    .command('doctor')
    .summary('find out, step by step, whether a backend works')
    .description('Finds out, step by step, whether a backend works, up to a trial key.')
    .addHelpText('after', DOCTOR_HELP)
    .action((options: DoctorOptions) => diagnose(context, options))
  addBackendOption(command).option('--trial', 'make a trial key also where that costs money')
}
