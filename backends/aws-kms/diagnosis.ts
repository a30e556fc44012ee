import type { DiagnosisStep } from '../../src/key/backend.ts'
import { failedStep } from '../../src/key/failed-step.ts'
import type { KmsConnection } from './connection.ts'
import { isKeystayError, toKeystayError } from './errors.ts'

/** The steps that need a connection: region, credentials, endpoint, permission to list. */
export async function* diagnoseConnection(
  connection: KmsConnection,
  signal: AbortSignal | undefined,
): AsyncGenerator<DiagnosisStep, undefined> {
  yield { name: 'region', status: 'ok', detail: connection.region }
  const credentials = await checkCredentials(connection)
  yield credentials
  if (credentials.status === 'failed') {
    const detail = 'not tried without credentials'
    yield { name: 'endpoint', status: 'skipped', detail }
    yield { name: 'permissions', status: 'skipped', detail }
    return
  }
  yield* checkListing(connection, signal)
}

async function checkCredentials(connection: KmsConnection): Promise<DiagnosisStep> {
  const { client, region } = connection
  try {
    await client.config.credentials()
    return { name: 'credentials', status: 'ok', detail: 'found' }
  } catch (error) {
    return failedStep('credentials', toKeystayError(error, { operation: 'credentials', region }))
  }
}

async function* checkListing(
  connection: KmsConnection,
  signal: AbortSignal | undefined,
): AsyncGenerator<DiagnosisStep, undefined> {
  let denial: unknown
  try {
    await connection.run({ signal }, () => connection.call('ListKeys', { Limit: 1 }, signal))
  } catch (error) {
    if (!isKeystayError(error, 'kms_access_denied')) {
      yield failedStep('endpoint', error)
      yield { name: 'permissions', status: 'skipped', detail: 'not tried without an endpoint' }
      return
    }
    denial = error
  }
  const host = connection.host ?? `AWS KMS in ${connection.region}`
  yield { name: 'endpoint', status: 'ok', detail: `${host} answers and accepts the credentials` }
  yield denial === undefined
    ? {
        name: 'permissions',
        status: 'ok',
        detail: 'kms:ListKeys is allowed; the others show when they are used',
      }
    : failedStep('permissions', denial, 'warning')
}
