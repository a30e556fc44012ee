import { labelTaken, type Keyring, type StoredKey } from './keyring.ts'
import { sealNewKey, storedKey, type Sealer } from './sealed-key.ts'

/**
 * A keyring that lasts as long as the process. Its keys are sealed too, under a key that cannot be
 * exported, because an RSA key must be opened once for each of its algorithms.
 * @param supplied keys that the caller made elsewhere
 * @throws {KeystayError} `label_taken` where two of them have the same
 */
export async function createMemoryKeyring(supplied: readonly StoredKey[]): Promise<Keyring> {
  const sealer: Sealer = {
    keyring: 'memory',
    storage: 'memory',
    wrappingKey: await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, [
      'wrapKey',
      'unwrapKey',
    ]),
  }
  const byLabel = new Map<string, StoredKey>()
  const byId = new Map<string, StoredKey>()
  const add = (key: StoredKey): StoredKey => {
    if (byLabel.has(key.label)) throw labelTaken(key.label)
    byLabel.set(key.label, key)
    byId.set(key.id, key)
    return key
  }
  for (const key of supplied) add(key)

  return {
    name: sealer.keyring,
    directory: undefined,
    async generate(keyType, label, signal) {
      if (byLabel.has(label)) throw labelTaken(label)
      const key = await sealNewKey(sealer, keyType, label)
      signal?.throwIfAborted()
      return add(storedKey(sealer, key))
    },
    has: async (id) => byId.has(id),
    read: async (id) => byId.get(id),
    find: async (label) => byLabel.get(label),
    async *list() {
      for (const key of [...byId.values()]) yield { ...key, state: 'usable' }
    },
    async remove(id) {
      const key = byId.get(id)
      if (key !== undefined) byLabel.delete(key.label)
      return byId.delete(id)
    },
  }
}
