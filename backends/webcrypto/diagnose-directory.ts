import { resolve } from 'node:path'
import type { DiagnosisStep } from '../../src/key/backend.ts'
import { attempt } from './attempt.ts'
import { hasKeyring, openDirectoryKeyring, type KeyringLocation } from './directory-keyring.ts'
import { checkPrivateDirectory } from './directory.ts'
import type { Keyring } from './keyring.ts'
import { readKeyringSecret } from './wrapping-key.ts'

/** The part of the diagnosis that concerns a keyring on disk. */
export async function* diagnoseDirectory(
  location: KeyringLocation,
  signal: AbortSignal | undefined,
): AsyncGenerator<DiagnosisStep, void> {
  const directory = resolve(location.directory)
  const entered = await attempt(
    'directory',
    () => checkPrivateDirectory(directory),
    (there) => (there ? `${directory}, for its owner alone` : `${directory} is not there yet`),
  )
  yield entered.step
  const secret = await attempt(
    'secret',
    () => readKeyringSecret(location.secretSource, location.secret),
    () => 'can be read, and is long enough',
  )
  yield secret.step
  if (entered.step.status === 'failed' || secret.step.status === 'failed') return

  signal?.throwIfAborted()
  if (!(await hasKeyring(directory))) {
    yield {
      name: 'keyring',
      status: 'skipped',
      detail: 'none there yet: the first use makes it, and its secret must be kept from then on',
    }
    return
  }
  const keyring = await attempt(
    'keyring',
    () => openDirectoryKeyring(location),
    ({ name }) => `${name}, opened by the secret`,
  )
  yield keyring.step
  if (keyring.value !== undefined) yield await countKeys(keyring.value)
}

async function countKeys(keyring: Keyring): Promise<DiagnosisStep> {
  const damaged: string[] = []
  let readable = 0
  for await (const { id, state } of keyring.list()) {
    if (state === 'usable') readable++
    else damaged.push(id)
  }
  const detail = `${readable} can be read`
  if (damaged.length === 0) return { name: 'keys', status: 'ok', detail }
  return {
    name: 'keys',
    status: 'failed',
    detail: `${detail}, ${damaged.length} cannot: ${damaged.join(', ')}`,
    remedy: 'restore the files of these keys from a copy, or destroy the keys',
  }
}
