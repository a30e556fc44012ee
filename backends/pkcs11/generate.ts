import type { KeyType } from '../../src/csr/algorithms.ts'
import { KeystayError } from '../../src/errors.ts'
import { CKR } from './cryptoki.ts'
import { createKeyTemplate, curveParameters } from './key-template.ts'
import type { Operations } from './operations.ts'
import type { Settings } from './options.ts'
import { readTokenPublicKey } from './public-key.ts'
import { returnValueOf } from './return-values.ts'
import type { Attempt, Token } from './token.ts'

/** A key pair to generate. */
export interface Generation {
  readonly token: Token
  readonly settings: Settings
  readonly keyType: KeyType
  readonly mechanism: number
  /** CKA_ID, chosen before: by it a key is found whose generation was not answered. */
  readonly id: Uint8Array
  readonly label: string
}

type Generated = ReturnType<Operations['generate']>

/** What tokens say of curve parameters in a form that they do not know. */
const PARAMETERS_REFUSED: readonly number[] = [
  CKR.GENERAL_ERROR,
  CKR.FUNCTION_FAILED,
  CKR.ATTRIBUTE_VALUE_INVALID,
  CKR.MECHANISM_PARAM_INVALID,
  CKR.TEMPLATE_INCONSISTENT,
  CKR.DOMAIN_PARAMS_INVALID,
  CKR.CURVE_NOT_SUPPORTED,
]

/** Labels of keys that are being generated, by token: the token does not know them yet. */
const reserved = new WeakMap<Token, Set<string>>()

/**
 * Generates a key pair and answers its SubjectPublicKeyInfo; or leaves none behind.
 * @throws {KeystayError} `label_taken`, `template_refused`, `key_exportable`, `public_key_…`, …
 */
export async function generateKeyPair(
  generation: Generation,
  attempt: Attempt,
): Promise<Uint8Array> {
  const { token, label } = generation
  // After a lost answer there may be a key: it must go before another takes its names.
  if (attempt.tried.size > 0) await destroy(generation, attempt)
  const labels = reserved.get(token) ?? new Set<string>()
  reserved.set(token, labels)
  if (labels.has(label)) throw labelTaken(generation)
  labels.add(label)
  try {
    await refuseTakenLabel(generation, attempt)
    return await generateAndCheck(generation, attempt)
  } finally {
    labels.delete(label)
  }
}

async function generateAndCheck(generation: Generation, attempt: Attempt): Promise<Uint8Array> {
  const { token, id, label } = generation
  try {
    const { privateKey, attributes, claims } = await generateAnyForm(generation, attempt)
    if (claims.CKA_EXTRACTABLE === true || claims.CKA_SENSITIVE === false) {
      throw new KeystayError(
        'key_exportable',
        'the token made a key that can be exported, although the template forbids it, and the key was destroyed; check the template option and the policy of the token',
      )
    }
    const { spki } = await readTokenPublicKey(attributes, `the new key ${JSON.stringify(label)}`)
    // Nobody waits for it any more.
    attempt.call.signal.throwIfAborted()
    token.rememberHandle({ id }, privateKey)
    return spki
  } catch (error) {
    // What failed may have come after the key. Where this fails too, the label finds it.
    await destroy(generation, attempt).catch(() => undefined)
    throw error
  }
}

/** Whatever there is under the CKA_ID chosen for the key. Also for callers who have left. */
async function destroy({ token, id }: Generation, { tried }: Attempt): Promise<void> {
  await token.destroy({ id }, { tried })
}

async function refuseTakenLabel(generation: Generation, attempt: Attempt): Promise<void> {
  const { token, label } = generation
  const found = await token.findPrivateKeys({ label }, attempt)
  if (found.length > 0) throw labelTaken(generation)
}

function labelTaken({ label, token }: Generation): KeystayError {
  return new KeystayError(
    'label_taken',
    `token ${JSON.stringify(token.identity.label)} holds a key labelled ${JSON.stringify(label)} already; choose another label`,
    { pointer: '/label' },
  )
}

async function generateAnyForm(generation: Generation, attempt: Attempt): Promise<Generated> {
  const { token, settings, keyType, mechanism } = generation
  const forms = curveParameters(keyType)
  let failure: unknown
  for (const parameters of forms) {
    const draft = createKeyTemplate(keyType, parameters, generation, settings.profile)
    const { publicKey, privateKey } = settings.template(draft, keyType)
    const request = {
      mechanism: { mechanism },
      publicTemplate: publicKey,
      privateTemplate: privateKey,
    }
    try {
      return await token.withSession(attempt, (thread) => thread.call('generate', request))
    } catch (error) {
      failure = error
      if (!PARAMETERS_REFUSED.includes(returnValueOf(error) ?? CKR.OK)) break
    }
  }
  throw failure
}
