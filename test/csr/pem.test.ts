import { describe, expect, test } from 'vitest'
import { decodeBase64, encodePem, findPemBlocks } from '../../src/csr/pem.ts'

describe('PEM of any length is that of Node, in lines of 64', () => {
  test.each([0, 1, 2, 3, 46, 47, 48, 49, 50, 95, 96, 97, 1000])('%i bytes', (length) => {
    const der = crypto.getRandomValues(new Uint8Array(length))
    const lines =
      Buffer.from(der)
        .toString('base64')
        .match(/.{1,64}/g) ?? []
    const pem = encodePem('X', der)
    expect(pem).toBe(['-----BEGIN X-----', ...lines, '-----END X-----', ''].join('\n'))
    const [block] = findPemBlocks(pem)
    expect(block?.label).toBe('X')
    expect(decodeBase64(block?.body ?? '')).toEqual(length === 0 ? undefined : der)
  })
})

test.each(['A', 'AA', 'AAA', 'A===', '=AAA', 'AA=A', 'AA-_', 'A*AA', ''])(
  'base64 refused: %j',
  (text) => {
    expect(decodeBase64(text)).toBeUndefined()
  },
)
