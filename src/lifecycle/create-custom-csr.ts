import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { KeystayError } from '../errors.ts'
import type { BackendKey } from '../key/backend.ts'
import type { Attestation } from '../key/attestation.ts'
import type { CsrRow, FinishedCreation, KeyRow, Lease, NewKey, Scope } from '../store/store.ts'
import type { CheckedInput } from './check-input.ts'
import { destroyKey } from './destroy-key.ts'
import { newLease, whileLeased } from './lease.ts'
import type { ServiceParts } from './parts.ts'
import { keyOperation, observe } from './telemetry.ts'

/** One wish to create, checked. */
export interface Creation {
  readonly scope: Scope
  readonly input: CheckedInput
  readonly actor: string
  readonly accountTag: string | undefined
  readonly idempotencyKey: string | undefined
  readonly quota: number | undefined
  readonly signal: AbortSignal | undefined
}

/** What came of it. */
export interface Creature {
  readonly row: CsrRow
  readonly replayed: boolean
}

const IDEMPOTENCY_MS = 24 * 60 * 60 * 1000
/** How long a repeated request waits for the first one to be answered. */
const PATIENCE_MS = 60_000
const POLL_MS = { first: 20, most: 500 }

/** A key that is being made, by us. */
type OwnKey = Pick<KeyRow, 'id' | 'label' | 'backend' | 'keyType'>

/**
 * Row before key, key before answer: whatever a crash leaves is a row in a telling state.
 * @throws {KeystayError} `quota_exceeded`, `idempotency_…`, `idempotent_csr_deleted`,
 *   `creation_lost`, and what backend and store throw
 */
export async function createCustomCsr(parts: ServiceParts, creation: Creation): Promise<Creature> {
  const { store, backends } = parts
  await backends.remember()
  const owner = randomUUID()
  const key = chooseKey(creation.input, backends.current.uri)
  const patience = AbortSignal.timeout(PATIENCE_MS)
  for (let pause = POLL_MS.first; ; pause = Math.min(pause * 2, POLL_MS.most)) {
    const start = await store.beginCreation(beginning(creation, key, newLease(owner)))
    switch (start.state) {
      case 'begun':
        return { row: await makeCsr(parts, creation, key, owner), replayed: false }
      case 'completed':
        return { row: start.csr, replayed: true }
      case 'in_progress': {
        const taken = await takeOver(parts, start.key, newLease(owner))
        if (taken) return { row: await makeCsr(parts, creation, start.key, owner), replayed: false }
        break
      }
      case 'quota_exceeded':
        throw new KeystayError(
          'quota_exceeded',
          `the quota of ${creation.quota ?? 0} custom CSRs is used up (${start.count} are there or being created); delete one that is not needed`,
        )
      case 'fingerprint_differs':
        throw new KeystayError(
          'idempotency_key_reused',
          'this idempotency key was used for another request; use a new key for a new request',
        )
      case 'deleted':
        throw new KeystayError(
          'idempotent_csr_deleted',
          'the custom CSR that this idempotency key made has been deleted; use a new key to make another one',
        )
    }
    if (patience.aborted) {
      throw new KeystayError(
        'idempotency_key_busy',
        'the first request with this idempotency key is still being worked on; try again in a minute',
      )
    }
    await delay(pause, undefined, { signal: creation.signal })
  }
}

function chooseKey({ keyType }: CheckedInput, backend: string): OwnKey {
  const id = randomUUID()
  return { id, label: `keystay:${id}`, backend, keyType }
}

function beginning(creation: Creation, key: OwnKey, lease: Lease): NewKey {
  const { scope, quota, idempotencyKey } = creation
  const now = new Date()
  const idempotency =
    idempotencyKey === undefined
      ? undefined
      : {
          key: idempotencyKey,
          fingerprint: fingerprintOf(creation),
          expiresAt: new Date(now.getTime() + IDEMPOTENCY_MS),
        }
  return { key, scope, lease, now, quota, idempotency }
}

/** What makes two requests the same: all that was asked for, in one order. */
function fingerprintOf({ input }: Creation): string {
  const { subject, sans, keyType, name, description } = input
  const { country, state, locality, organization, organizationalUnit, commonName } = subject
  const asked = [
    ...[country, state, locality, organization, organizationalUnit, commonName],
    ...[sans, keyType, name, description],
  ]
  return createHash('sha256').update(JSON.stringify(asked)).digest('hex')
}

/** Whoever was at work on it has gone: the key, if there is one, is found by its label. */
async function takeOver(parts: ServiceParts, key: KeyRow, lease: Lease): Promise<boolean> {
  const now = new Date()
  if (key.lease !== undefined && key.lease.until > now) return false
  return (await parts.store.takeOver(key.id, lease, now))?.state === 'creating'
}

/** Makes the key, has it sign, and writes the CSR; or undoes what it began. */
async function makeCsr(
  parts: ServiceParts,
  creation: Creation,
  key: OwnKey | KeyRow,
  owner: string,
): Promise<CsrRow> {
  const { store } = parts
  const csrId = randomUUID()
  let made: BackendKey | undefined
  try {
    const finished = await whileLeased(store, key.id, owner, async () => {
      made = await obtainKey(parts, creation, key)
      return finish(parts, creation, { key, made, owner, csrId })
    })
    const row = await store.completeCreation(finished)
    if (row !== undefined) return row
  } catch (error) {
    return await undo(parts, creation, { key, owner, csrId, error })
  }
  throw await giveUp(parts, key, made)
}

interface InTheMaking {
  readonly key: OwnKey
  readonly owner: string
  readonly csrId: string
}

async function obtainKey(
  parts: ServiceParts,
  { signal }: Creation,
  { backend: uri, label, keyType, ...row }: OwnKey | KeyRow,
): Promise<BackendKey> {
  // Only a row that was taken over may have its key already.
  const isTakenOver = 'lease' in row
  return parts.backends.withBackendOf({ backend: uri, uri: undefined }, async (backend) => {
    const found = isTakenOver ? await backend.findKey(label) : undefined
    if (found !== undefined) return found
    return observe(keyOperation(parts.instruments, 'generate', backend.scheme, keyType), () =>
      backend.generateKey(keyType, { label, signal }),
    )
  })
}

async function finish(
  parts: ServiceParts,
  { scope, input, actor, accountTag, signal }: Creation,
  { key, made, owner, csrId }: InTheMaking & { readonly made: BackendKey },
): Promise<FinishedCreation> {
  const attestation: Attestation = await made.attest({ signal })
  const scheme = made.uri.slice(0, made.uri.indexOf(':'))
  const { pem, signatureAlgorithm } = await observe(
    keyOperation(parts.instruments, 'sign', scheme, key.keyType),
    () => input.builder.sign(made, { signal }),
  )
  const { subject, sans, name, description } = input
  const createdAt = new Date()
  return {
    keyId: key.id,
    owner,
    key: { uri: made.uri, publicKey: made.publicKey, attestation },
    csr: { id: csrId, scope, accountTag, name, description, subject, sans, csr: pem, createdAt },
    event: {
      type: 'custom_csr.created',
      scope,
      actor,
      at: createdAt,
      csrId,
      keyId: key.id,
      details: {
        key_uri: made.uri,
        key_type: key.keyType,
        signature_algorithm: signatureAlgorithm,
        attestation: attestation.level,
      },
    },
  }
}

/**
 * After a failure: the key goes again, unless the store had done its part before its answer was
 * lost. Where even that cannot be done now, the row stays for `reconcile`.
 */
async function undo(
  parts: ServiceParts,
  { scope }: Creation,
  { key, owner, csrId, error }: InTheMaking & { readonly error: unknown },
): Promise<CsrRow> {
  const { store, onError } = parts
  try {
    if (await store.abandonCreation(key.id, newLease(owner))) {
      const row = await store.getKey(key.id)
      if (row !== undefined) await destroyKey(parts, row, owner)
    } else {
      const row = await store.getCsr(scope, csrId)
      if (row !== undefined) return row
    }
  } catch (undoing) {
    onError(undoing)
  }
  throw error
}

/**
 * After our lease was lost to somebody: they have taken the key as theirs, or found none by its
 * label, and then this one must not be left behind.
 */
async function giveUp(
  parts: ServiceParts,
  { id, backend }: OwnKey,
  made: BackendKey | undefined,
): Promise<KeystayError> {
  const uri = made?.uri
  try {
    const row = await parts.store.getKey(id)
    const isTheirs = row !== undefined && (row.uri === undefined || row.uri === uri)
    if (uri !== undefined && !isTheirs) {
      await parts.backends.withBackendOf({ backend, uri }, (device) => device.destroyKey(uri))
    }
  } catch (error) {
    parts.onError(error)
  }
  return new KeystayError(
    'creation_lost',
    'the device took so long that the key was given up in the meantime; try again',
  )
}
