import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '..')
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')

const declared = [...read('src/errors.ts').matchAll(/^ {2}\| '([a-z0-9_]+)'$/gm)].map(
  ([, code]) => code ?? '',
)
const documented = [...read('docs/errors.md').matchAll(/^\| `([a-z0-9_]+)` \| \S/gm)].map(
  ([, code]) => code ?? '',
)
const sources = globSync('{src,backends}/**/*.ts', { cwd: ROOT })
  .filter((file) => file !== 'src/errors.ts')
  .map(read)
  .join('\n')

describe('error codes', () => {
  test('are each declared once', () => {
    expect(declared.length).toBeGreaterThan(60)
    expect(declared).toEqual([...new Set(declared)])
  })

  test('and the reference page name the same codes', () => {
    expect(documented.toSorted()).toEqual(declared.toSorted())
  })

  test('are all in use', () => {
    expect(declared.filter((code) => !sources.includes(`'${code}'`))).toEqual([])
  })
})
