import assert from 'node:assert/strict'
import type { CsrFilter, CsrQuery, CsrRow, Scope, Store } from '../../store/store.ts'
import { create, newScope, remove, type CsrChanges, type StoreCases } from './workbench.ts'

const ALL = { orderBy: 'created_at', direction: 'asc', offset: 0, limit: 1000 } as const

async function everyPage(
  store: Store,
  scope: Scope,
  query: Pick<CsrQuery, 'orderBy' | 'direction'>,
  limit: number,
): Promise<readonly string[]> {
  const ids: string[] = []
  for (let offset = 0; ; offset += limit) {
    const { rows } = await store.listCsrs(scope, { ...query, offset, limit })
    assert.ok(rows.length <= limit, `a page of ${limit} has ${rows.length} rows`)
    if (rows.length === 0) return ids
    ids.push(...rows.map(({ id }) => id))
    assert.ok(ids.length < 1000, 'the pages do not end')
  }
}

const utf8 = new TextEncoder()

function compareBytes(a: string, b: string): number {
  return Buffer.compare(utf8.encode(a), utf8.encode(b))
}

function compare(a: CsrRow, b: CsrRow, orderBy: CsrQuery['orderBy']): number {
  const byName = orderBy === 'name' ? compareBytes(a.name ?? '', b.name ?? '') : 0
  return byName || a.createdAt.getTime() - b.createdAt.getTime() || compareBytes(a.id, b.id)
}

/** What the promise is, done on the side: those without a name last in either direction. */
function sort(
  rows: readonly CsrRow[],
  { orderBy, direction }: Pick<CsrQuery, 'orderBy' | 'direction'>,
): readonly string[] {
  const sign = direction === 'asc' ? 1 : -1
  const unnamed = ({ name }: CsrRow): number => (orderBy === 'name' && name === undefined ? 1 : 0)
  return rows
    .toSorted((a, b) => unnamed(a) - unnamed(b) || sign * compare(a, b, orderBy))
    .map(({ id }) => id)
}

/** Ties by name, by time and by both; code points that UTF-16 would sort otherwise. */
const NAMES = ['b', 'B', 'a', 'ä', 'a ', '\u{1f600}', '\ufffd', 'Z', undefined]

/** Alike, near to each other, and far. */
const AGES_MS = [0, 1000, 20_000, 86_400_000, 40_000_000_000]

async function createMany(store: Store, scope: Scope, count: number): Promise<readonly CsrRow[]> {
  return Promise.all(
    Array.from({ length: count }, (_, index) =>
      create(store, scope, {
        name: NAMES[index % NAMES.length],
        createdAt: new Date(1_700_000_000_000 + (AGES_MS[index % AGES_MS.length] ?? 0)),
      }),
    ),
  )
}

async function matches(
  store: Store,
  scope: Scope,
  filter: CsrFilter,
  expected: readonly CsrRow[],
): Promise<void> {
  const what = `the filter ${JSON.stringify(filter)}`
  const ids = expected.map(({ id }) => id).toSorted()
  for (const orderBy of ['created_at', 'name'] as const) {
    const { rows, total } = await store.listCsrs(scope, { ...ALL, orderBy, filter })
    assert.deepEqual(rows.map(({ id }) => id).toSorted(), ids, `${what} finds other rows`)
    assert.equal(total, expected.length, `${what} has another total`)
  }
  const { rows, total } = await store.listCsrs(scope, { ...ALL, limit: 1, filter })
  assert.deepEqual([rows.length, total], [Math.min(1, expected.length), expected.length], what)
}

/** Cases about finding CSRs. */
export const listCases: StoreCases = {
  'listCsrs: an empty scope': async ({ store, scope }) => {
    assert.deepEqual(await store.listCsrs(scope, ALL), { rows: [], total: 0 })
    assert.deepEqual(await store.listCsrs(scope, { ...ALL, offset: 100 }), { rows: [], total: 0 })
  },

  'listCsrs: rows are the same as those of getCsr': async ({ store, scope }) => {
    const row = await create(store, scope, { name: 'a name', accountTag: 'a tag' })
    assert.deepEqual(await store.listCsrs(scope, ALL), { rows: [row], total: 1 })
  },

  'listCsrs: every order, on pages of every size, each row once': async ({ store, scope }) => {
    const rows = await createMany(store, scope, 45)
    for (const orderBy of ['created_at', 'name'] as const) {
      for (const direction of ['asc', 'desc'] as const) {
        const query = { orderBy, direction }
        const expected = sort(rows, query)
        for (const limit of [1, 7, 20, 45, 50]) {
          const what = `${orderBy} ${direction}, pages of ${limit}`
          assert.deepEqual(await everyPage(store, scope, query, limit), expected, what)
        }
      }
    }
    const past = await store.listCsrs(scope, { ...ALL, offset: 45, limit: 5 })
    assert.deepEqual(past, { rows: [], total: 45 }, 'past the end')
    const far = await store.listCsrs(scope, { ...ALL, offset: 1_000_000_000, limit: 5 })
    assert.deepEqual(far, { rows: [], total: 45 }, 'far past the end')
  },

  'listCsrs: the total follows what is created and deleted': async ({ store, scope }) => {
    const rows = await createMany(store, scope, 5)
    for (const [index, { id }] of rows.entries()) {
      await remove(store, scope, id)
      const { rows: left, total } = await store.listCsrs(scope, ALL)
      assert.deepEqual([left.length, total], [4 - index, 4 - index])
    }
  },

  'listCsrs: filters are exact, and all must hold': async ({ store, scope }) => {
    const subject = {
      country: 'US',
      state: 'MA',
      locality: 'Boston',
      organization: 'City of Boston',
      commonName: 'one.contract.example',
    }
    const make = (changes: CsrChanges): Promise<CsrRow> => create(store, scope, changes)
    const one = await make({ name: 'one', subject, sans: ['One.contract.example', 'x.example'] })
    const two = await make({ name: 'two', subject, sans: ['y.example', 'Y.EXAMPLE'] })
    const unnamed = await make({ sans: ['x.example'] })
    const rsa = newRsaKey()
    const large = await create(store, scope, { name: 'one' }, rsa)

    await matches(store, scope, {}, [one, two, unnamed, large])
    await matches(store, scope, { name: 'one' }, [one, large])
    for (const name of ['On', 'ONE', 'one ', '', '%', 'o_e', '\0']) {
      await matches(store, scope, { name }, [])
    }
    await matches(store, scope, { commonName: 'one.contract.example' }, [one, two])
    await matches(store, scope, { commonName: 'contract.example' }, [])
    await matches(store, scope, { san: 'X.example' }, [one, unnamed])
    await matches(store, scope, { san: 'ONE.contract.EXAMPLE' }, [one])
    await matches(store, scope, { san: 'y.example' }, [two])
    await matches(store, scope, { san: '\0' }, [])
    await matches(store, scope, { keyType: 'rsa2048' }, [large])
    await matches(store, scope, { keyType: 'p256v1' }, [one, two, unnamed])
    await matches(store, scope, { name: 'one', keyType: 'p256v1' }, [one])
    await matches(store, scope, { name: 'one', san: 'y.example' }, [])
    await matches(
      store,
      scope,
      { name: 'one', commonName: subject.commonName, san: 'x.example', keyType: 'p256v1' },
      [one],
    )
    await remove(store, scope, one.id)
    await matches(store, scope, { san: 'x.example' }, [unnamed])
  },

  'scopes: nothing is seen or touched across them': async ({ store, scope }) => {
    const name = `name ${crypto.randomUUID()}`
    const row = await create(store, scope, { name, sans: ['tenant.example'] })
    const others: readonly Scope[] = [
      newScope(),
      { ...scope, kind: 'account' },
      { ...scope, id: scope.id.toUpperCase() },
      { ...scope, id: `${scope.id} ` },
      { ...scope, id: '' },
      { ...scope, id: '\0' },
    ]
    for (const other of others.filter(({ kind, id }) => kind !== scope.kind || id !== scope.id)) {
      const what = `${other.kind} ${JSON.stringify(other.id)}`
      assert.equal(await store.getCsr(other, row.id), undefined, `${what} gets it`)
      for (const filter of [{}, { name }, { san: 'tenant.example' }]) {
        const page = await store.listCsrs(other, { ...ALL, filter })
        assert.deepEqual(page, { rows: [], total: 0 }, `${what} lists it`)
      }
      assert.equal((await remove(store, other, row.id)).state, 'not_found', `${what} deletes it`)
      for (const csrId of [undefined, row.id]) {
        const events = await store.listEvents(other, {
          limit: 10,
          ...(csrId !== undefined && { csrId }),
        })
        assert.deepEqual(events, [], `${what} sees its events`)
      }
    }
    assert.deepEqual(await store.getCsr(scope, row.id), row)
  },

  'getCsr: what is no id of ours is not found': async ({ store, scope }) => {
    const row = await create(store, scope)
    for (const id of [
      crypto.randomUUID(),
      '',
      '%',
      '\0',
      `${row.id}\0`,
      row.id.slice(1),
      '\ud800',
    ]) {
      assert.equal(await store.getCsr(scope, id), undefined)
      assert.equal((await remove(store, scope, id)).state, 'not_found')
    }
  },
}

function newRsaKey(): { key: Parameters<Store['beginCreation']>[0]['key'] } {
  const id = crypto.randomUUID()
  return { key: { id, label: `keystay:${id}`, backend: 'contract:', keyType: 'rsa2048' } }
}
