/**
 * `pkcs11js` with faults: the real package on the real SoftHSM, except for what a test has planted
 * (see `faults.ts`). A package file of its own, so that threads load it just as they load the real
 * one. Faults and the record of calls are files: all threads see the same.
 */
import { appendFileSync, readdirSync, readFileSync, unlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'

/** What happens in place of, or to the result of, one call. */
export interface Fault {
  /** The return value that the call fails with. */
  readonly ckr?: number
  /** Throws a plain `Error("CKR_X:16")` with the number in its message. */
  readonly plain?: boolean
  /** The call is made all the same, and its answer is lost. */
  readonly afterwards?: boolean
  readonly hangMs?: number
  /** Merged into the result, where it is an object. */
  readonly patch?: Readonly<Record<string, unknown>>
  /** Of an attribute: its value, hexadecimal, or how much to cut from its front. */
  readonly attribute?: { readonly type: number; readonly hex?: string; readonly cut?: number }
  /** Items that a list has not. */
  readonly without?: readonly number[]
}

type Call = (...args: readonly unknown[]) => unknown

const real = createRequire(import.meta.url)('pkcs11js') as {
  PKCS11: new () => Record<string, Call | undefined>
  Pkcs11Error: new (message: string, code: number, method: string) => Error
}
const directory = process.env['KEYSTAY_TEST_FAULTS'] ?? ''

/** The fault planted for a call, used up if it was for once. */
function takeFault(name: string): Fault | undefined {
  for (const file of readdirSync(directory).sort()) {
    if (!file.startsWith(`${name}~`)) continue
    const path = join(directory, file)
    try {
      const fault = JSON.parse(readFileSync(path, 'utf8')) as Fault
      if (!file.includes('~always')) unlinkSync(path)
      return fault
    } catch {
      // Another thread was faster.
    }
  }
  return undefined
}

function fail(name: string, { ckr = 0, plain = false }: Fault): never {
  if (plain) throw new Error(`CKR_X:${ckr}`)
  throw new real.Pkcs11Error('CKR_X', ckr, name)
}

function alter(fault: Fault, args: readonly unknown[], result: unknown): unknown {
  if (fault.patch !== undefined) return { ...(result as object), ...fault.patch }
  if (fault.without !== undefined) {
    return (result as number[]).filter((item) => fault.without?.includes(item) !== true)
  }
  const [, , template] = args as [unknown, unknown, { type: number }[] | undefined]
  if (fault.attribute !== undefined && template?.[0]?.type === fault.attribute.type) {
    const { type, hex, cut } = fault.attribute
    const value = (result as { value: Buffer }[])[0]?.value ?? Buffer.alloc(0)
    return [{ type, value: hex === undefined ? value.subarray(cut) : Buffer.from(hex, 'hex') }]
  }
  return result
}

function callWithFaults(name: string, call: Call): Call {
  return (...args) => {
    appendFileSync(join(directory, isMainThread ? 'main-calls' : 'calls'), `${name}\n`)
    const fault = takeFault(name)
    if (fault === undefined) return call(...args)
    if (fault.hangMs !== undefined) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, fault.hangMs)
    }
    if (fault.ckr !== undefined && fault.afterwards !== true) fail(name, fault)
    const result = call(...args)
    if (fault.ckr !== undefined) fail(name, fault)
    return alter(fault, args, result)
  }
}

/** The driver's class, with faults in its methods. */
export const PKCS11 = function (this: Record<string, Call>): void {
  const driver = new real.PKCS11()
  this['load'] = (path) => driver['load']?.(path)
  for (const name in driver) {
    const method = driver[name]
    if (method === undefined || !name.startsWith('C_')) continue
    this[name] = callWithFaults(name, (...args): unknown => Reflect.apply(method, driver, args))
  }
}
