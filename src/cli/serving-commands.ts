import { Option, type Command } from 'commander'
import { collectList } from './collect.ts'
import type { CliContext } from './context.ts'
import type {
  CreateCredentialOptions,
  CredentialFileOptions,
} from './credentials/credential-command.ts'
import type { ServeOptions } from './serve/settings.ts'
import { CREDENTIAL_HELP, SERVE_HELP } from './serving-help.ts'

function addCredentialsOption(command: Command): Command {
  return command.option(
    '--credentials <file>',
    'who may use the service (default: $KEYSTAY_CREDENTIALS, else keystay-credentials.json)',
  )
}

/** `keystay credential …`. */
export function addCredential(program: Command, context: CliContext): void {
  const credential = program
    .command('credential')
    .summary('create, list and revoke what clients of the service show')
    .description('Creates, lists and revokes what clients of the service show to be let in.')
    .addHelpText('after', CREDENTIAL_HELP)
  addCredentialsOption(credential.command('create'))
    .description('Creates a secret, prints it once, and keeps its hash.')
    .requiredOption('-e, --email <address>', 'whose it is')
    .option('-z, --zone <id...>', 'zones it is good for, repeatable or with commas', collectList)
    .option('-a, --account <id...>', 'accounts it is good for, the same', collectList)
    .addOption(
      new Option('-r, --role <role>', 'edit includes read')
        .choices(['read', 'edit'])
        .makeOptionMandatory(),
    )
    .action(async (options: CreateCredentialOptions) => {
      const { createCredential } = await loadCredentialCommand()
      await createCredential(context, options)
    })
  addCredentialsOption(credential.command('list'))
    .description('Lists credentials, without their secrets: those are not kept.')
    .action(async (options: CredentialFileOptions) => {
      const { listCredentials } = await loadCredentialCommand()
      await listCredentials(context, options)
    })
  addCredentialsOption(credential.command('revoke'))
    .description('Revokes a credential; a server that runs refuses it from the next request on.')
    .argument('<id>')
    .action(async (id: string, options: CredentialFileOptions) => {
      const { revokeCredential } = await loadCredentialCommand()
      await revokeCredential(context, id, options)
    })
}

// Not static imports, here and below: what makes a request must not wait for a server's parts.
async function loadCredentialCommand(): Promise<
  typeof import('./credentials/credential-command.ts')
> {
  return await import('./credentials/credential-command.ts')
}

/** `keystay serve`. */
export function addServe(program: Command, context: CliContext): void {
  const command = program
    .command('serve')
    .summary('answer the custom CSR API over HTTP')
    .description('Answers the custom CSR API over HTTP, until it is told to stop.')
    .addHelpText('after', SERVE_HELP)
    .action(async (options: ServeOptions) => {
      const { serve } = await import('./serve/serve-command.ts')
      await serve(context, options)
    })
    .option('-b, --backend <uri>', 'where keys are made')
    .option('--store <uri>', 'where CSRs are remembered (default: sqlite:keystay.db)')
    .option(
      '--old-backends <which>',
      'where older keys are: remembered (as the store knows them), none, or URIs with spaces between (default: remembered)',
    )
  addCredentialsOption(command)
    .optionsGroup('Policy:')
    .addOption(
      new Option('--refuse-names <set>', 'names that no CSR may have (default: none)').choices([
        'none',
        'cloudflare',
      ]),
    )
    .addOption(
      new Option(
        '--common-name <rule>',
        'a common name that is not among the SANs: warn, or add it (default: warn)',
      ).choices(['warn', 'add']),
    )
    .option('--quota <number>', 'the most CSRs that a zone or account may have')
    .optionsGroup('Server:')
    .option('--host <address>', 'address to listen at (default: 127.0.0.1)')
    .option('-p, --port <number>', 'port; 0: any that is free (default: 8787)')
    .option('--base-path <path>', 'what paths begin with (default: /client/v4)')
    .option('--max-connections <number>', 'the most at a time (default: 1024)')
    .option('--drain <seconds>', 'how long to go on accepting when told to stop (default: 1)')
    .option('--stop-timeout <seconds>', 'how long a stop may take in all (default: 25)')
    .addOption(
      new Option('--log-level <level>', 'default: info').choices([
        'silent',
        'fatal',
        'error',
        'warn',
        'info',
        'debug',
      ]),
    )
}
