import type { KeyBackend, KeyDestruction } from '../key/backend.ts'
import { KeystayError } from '../errors.ts'
import type { KeyRow } from '../store/store.ts'
import { keyOperation, observe } from './telemetry.ts'
import type { ServiceParts } from './parts.ts'
import { whileLeased } from './lease.ts'

const DESTROYED: KeyDestruction = { state: 'destroyed' }

/**
 * Has the device destroy a key whose row is `destroying` under our lease, and ends the row. What
 * fails can be done again: the row stays.
 * @throws {KeystayError} what backend and store throw
 */
export async function destroyKey(
  parts: ServiceParts,
  key: KeyRow,
  owner: string,
): Promise<KeyDestruction> {
  const { backends, emitter, instruments, store } = parts
  const { id, keyType, scope, uri } = key
  const destruction = await whileLeased(store, id, owner, () =>
    backends.withBackendOf(key, (backend) =>
      observe(keyOperation(instruments, 'destroy', backend.scheme, keyType), () =>
        destroyOnDevice(backend, key),
      ),
    ),
  )
  const scheduled = destruction.state === 'scheduled'
  await store.endDestruction(
    id,
    destruction,
    scope && {
      type: scheduled ? 'key.destruction_scheduled' : 'key.destroyed',
      scope,
      actor: 'keystay',
      at: new Date(),
      keyId: id,
      details: {
        ...(uri !== undefined && { key_uri: uri }),
        ...(scheduled && { destroyed_at: destruction.at.toISOString() }),
      },
    },
  )
  if (scheduled) emitter.emit('key.destruction_scheduled', { keyId: id, uri, at: destruction.at })
  else emitter.emit('key.destroyed', { keyId: id, uri })
  return destruction
}

async function destroyOnDevice(
  backend: KeyBackend,
  { label, uri }: KeyRow,
): Promise<KeyDestruction> {
  if (uri !== undefined) return destroyIfThere(backend, uri)
  // The row was written before the key: the device may have none by that label.
  try {
    const key = await backend.findKey(label)
    return key === undefined ? DESTROYED : await destroyIfThere(backend, key.uri)
  } catch (error) {
    if (!(error instanceof KeystayError) || error.code !== 'key_ambiguous') throw error
    return destroyAll(backend, label)
  }
}

/** A lost answer may have made a device, or two of us, try twice: none of them has a CSR. */
async function destroyAll(backend: KeyBackend, label: string): Promise<KeyDestruction> {
  let destruction = DESTROYED
  for await (const listing of backend.listKeys({ labelPrefix: label })) {
    if (listing.label !== label) continue
    const ended = await destroyIfThere(backend, listing.uri)
    if (ended.state === 'scheduled') destruction = ended
  }
  return destruction
}

async function destroyIfThere(backend: KeyBackend, uri: string): Promise<KeyDestruction> {
  try {
    return await backend.destroyKey(uri)
  } catch (error) {
    if (error instanceof KeystayError && error.code === 'key_not_found') return DESTROYED
    throw error
  }
}
