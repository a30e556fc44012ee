import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '..')

/** Which rooms a room may import from. A room may always use itself and `errors`. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  index: ['csr', 'key'],
  csr: [],
  key: ['csr'],
  store: ['csr', 'key'],
  lifecycle: ['csr', 'key', 'store'],
  http: ['csr', 'key', 'lifecycle', 'store'],
  testing: ['csr', 'key', 'store'],
  cli: ['csr', 'key', 'http', 'lifecycle', 'store', 'dynamic:backends'],
  backends: ['csr', 'key'],
}

/** Rooms that every JavaScript runtime can load: no import but relative ones. */
const PORTABLE = ['errors', 'index', 'csr', 'key']

interface Import {
  readonly file: string
  readonly room: string
  readonly specifier: string
  /** The room imported, or `undefined` for a package or a Node module. */
  readonly target: string | undefined
  readonly dynamic: boolean
  /** Gone when the types are stripped. */
  readonly typeOnly: boolean
}

function roomOf(path: string): string {
  const [top = '', second = ''] = relative(ROOT, path).split('/')
  return top === 'backends' ? 'backends' : second.replace(/\.ts$/, '')
}

function importsOf(file: string): Import[] {
  const path = join(ROOT, file)
  const source = readFileSync(path, 'utf8').replace(/^\s*(?:\/\/|\*|\/\*).*$/gm, '')
  const found = source.matchAll(
    /\b(import|export)(\s+type)?\s(?:[^'()]*\bfrom\s+)?'([^']+)'|\bimport\s*\(\s*'([^']+)'/g,
  )
  return [...found].map(([, keyword, type, statically = '', specifier = statically]) => ({
    file,
    room: roomOf(path),
    specifier,
    target: specifier.startsWith('.') ? roomOf(resolve(dirname(path), specifier)) : undefined,
    dynamic: keyword === undefined,
    typeOnly: type !== undefined,
  }))
}

const files = globSync('{src,backends}/**/*.ts', { cwd: ROOT })
const imports = files.flatMap(importsOf)

describe('the direction of imports', () => {
  test('every room is known', () => {
    expect(new Set(files.map((file) => roomOf(join(ROOT, file))))).toEqual(
      new Set(Object.keys(ALLOWED)),
    )
    expect(imports.length).toBeGreaterThan(20)
  })

  test('rooms import only from rooms below them', () => {
    const wrong = imports.filter(({ room, target, dynamic }) => {
      if (target === undefined || target === room || target === 'errors') return false
      const allowed = ALLOWED[room] ?? []
      return !allowed.includes(target) && !(dynamic && allowed.includes(`dynamic:${target}`))
    })
    expect(wrong).toEqual([])
  })

  test('the root entry and the seam import nothing that only one runtime has', () => {
    const wrong = imports.filter(
      ({ room, target }) => PORTABLE.includes(room) && target === undefined,
    )
    expect(wrong).toEqual([])
  })

  test('the lifecycle and the wire know the store by its seam only', () => {
    const wrong = imports.filter(
      ({ room, target, specifier, typeOnly }) =>
        (room === 'lifecycle' || room === 'http') &&
        target === 'store' &&
        !(typeOnly && specifier === '../store/store.ts'),
    )
    expect(wrong).toEqual([])
  })

  test('one backend does not import another', () => {
    const wrong = imports.filter(({ file, specifier, dynamic, typeOnly }) => {
      const own = /^backends\/([^/]+)\//.exec(file)?.[1]
      const other = /^\.\.?\/(webcrypto|pkcs11|aws-kms)\//.exec(specifier)?.[1]
      return (
        other !== undefined &&
        other !== own &&
        !((dynamic || typeOnly) && file === 'backends/index.ts')
      )
    })
    expect(wrong).toEqual([])
  })
})
