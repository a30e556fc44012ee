import { KeystayError } from '../src/errors.ts'

/**
 * Loads an optional peer on first use. A failed import is not remembered, so installing the
 * package is enough to go on.
 * @throws {KeystayError} `peer_missing`, naming the package and how to install it
 */
export async function loadPeer<Module>(name: string, load: () => Promise<Module>): Promise<Module> {
  try {
    return await load()
  } catch (error) {
    throw new KeystayError(
      'peer_missing',
      `this backend needs the package ${name}, which ${describe(error)}; run: npm install ${name}`,
      { cause: error },
    )
  }
}

function describe(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
    ? 'is not installed'
    : 'is installed but does not load (its native part may not be built for this Node)'
}
