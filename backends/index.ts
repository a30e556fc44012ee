import type { CallOptions } from '../src/csr/signing-key.ts'
import { KeystayError } from '../src/errors.ts'
import type { DiagnosisStep, KeyBackend } from '../src/key/backend.ts'
import { parseKeyUri } from '../src/key/uri.ts'
import type { AwsKmsBackendOptions } from './aws-kms/index.ts'
import type { Pkcs11BackendOptions } from './pkcs11/index.ts'
import type { WebCryptoBackendOptions } from './webcrypto/index.ts'

export type { AwsKmsBackendOptions } from './aws-kms/index.ts'
export type { Pkcs11BackendOptions } from './pkcs11/index.ts'
export type { WebCryptoBackendOptions } from './webcrypto/index.ts'

/**
 * What a URI cannot say, by backend: ready-made parts and policies. Only the part for the URI's own
 * scheme is used, so that one object can serve every environment of a service.
 */
export interface OpenBackendOptions extends CallOptions {
  readonly webcrypto?: WebCryptoBackendOptions | undefined
  readonly pkcs11?: Pkcs11BackendOptions | undefined
  readonly awsKms?: AwsKmsBackendOptions | undefined
}

/** A backend's module, seen alike. */
interface Backend {
  open(uri: string, options: OpenBackendOptions): Promise<KeyBackend>
  diagnose(uri: string, options: OpenBackendOptions): AsyncIterable<DiagnosisStep>
}

/** Each backend is loaded when a URI first asks for it, and with it its optional peer. */
const BACKENDS: ReadonlyMap<string, () => Promise<Backend>> = new Map([
  [
    'webcrypto',
    async (): Promise<Backend> => {
      const { openWebCryptoBackend, diagnoseWebCrypto } = await import('./webcrypto/index.ts')
      return {
        open: (uri, { webcrypto, signal }) => openWebCryptoBackend(uri, { signal, ...webcrypto }),
        diagnose: (uri, { webcrypto, signal }) => diagnoseWebCrypto(uri, { signal, ...webcrypto }),
      }
    },
  ],
  [
    'pkcs11',
    async (): Promise<Backend> => {
      const { openPkcs11Backend, diagnosePkcs11 } = await import('./pkcs11/index.ts')
      return {
        open: (uri, { pkcs11, signal }) => openPkcs11Backend(uri, { signal, ...pkcs11 }),
        diagnose: (uri, { pkcs11, signal }) => diagnosePkcs11(uri, { signal, ...pkcs11 }),
      }
    },
  ],
  [
    'awskms',
    async (): Promise<Backend> => {
      const { openAwsKmsBackend, diagnoseAwsKms } = await import('./aws-kms/index.ts')
      return {
        open: (uri, { awsKms, signal }) => openAwsKmsBackend(uri, { signal, ...awsKms }),
        diagnose: (uri, { awsKms, signal }) => diagnoseAwsKms(uri, { signal, ...awsKms }),
      }
    },
  ],
])

async function loadBackend(uri: string): Promise<Backend> {
  const { scheme } = parseKeyUri(uri)
  const load = BACKENDS.get(scheme)
  if (load !== undefined) return load()
  const known = [...BACKENDS.keys()].map((name) => `${name}:`)
  throw new KeystayError(
    'uri_scheme_unknown',
    `there is no backend for ${scheme}: URIs; use one of ${known.join(', ')}`,
  )
}

/**
 * Opens the backend that a URI names: `webcrypto:`, `pkcs11:` (RFC 7512) or `awskms:`.
 * @example
 * await using backend = await openBackend('pkcs11:token=prod?module-path=…&pin-source=file:/run/pin')
 * @throws {KeystayError} `uri_scheme_unknown`, `uri_invalid`, `peer_missing`, and what the backend
 *   itself finds wrong
 */
export async function openBackend(
  uri: string,
  options: OpenBackendOptions = {},
): Promise<KeyBackend> {
  const backend = await loadBackend(uri)
  options.signal?.throwIfAborted()
  return backend.open(uri, options)
}

/**
 * Says step by step whether the way to a backend works, also where it cannot be opened.
 * @throws {KeystayError} `uri_scheme_unknown`, `uri_invalid`
 */
export async function* diagnoseBackend(
  uri: string,
  options: OpenBackendOptions = {},
): AsyncGenerator<DiagnosisStep, void> {
  const backend = await loadBackend(uri)
  yield* backend.diagnose(uri, options)
}
