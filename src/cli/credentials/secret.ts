import { createHash, randomBytes } from 'node:crypto'

// Recognizable, so that scanners for leaked secrets can find it.
const PREFIX = 'keystay_'
const FORM = /^keystay_[A-Za-z0-9_-]{43}$/

/** A new secret: 256 random bits. */
export function createSecret(): string {
  return PREFIX + randomBytes(32).toString('base64url')
}

/** Whether a text could be a secret of ours. */
export function isSecret(text: string): boolean {
  return FORM.test(text)
}

/**
 * What is kept of a secret. A plain SHA-256 is right here, though not for passwords: nobody can try
 * 2^256 values, however fast each try is, and a slow hash would be paid for by every request.
 */
export function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
