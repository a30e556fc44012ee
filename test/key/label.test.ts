import { expect, test } from 'vitest'
import { checkLabel } from '../../src/key/label.ts'

test.each(['a', 'keystay:5f1c', 'A-Z_a.z/0=9+@:', 'x'.repeat(64)])('%j is a label', (label) => {
  expect(() => {
    checkLabel(label)
  }).not.toThrow()
})

test.each([
  '',
  ' ',
  'a b',
  'a\n',
  'ä',
  'a%',
  'a\\b',
  'x'.repeat(65),
  undefined as unknown as string,
])('%j is not', (label) => {
  expect(() => {
    checkLabel(label)
  }).toThrow(expect.objectContaining({ code: 'label_invalid', pointer: '/label' }))
})
