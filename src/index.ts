export { KeystayError, type ErrorCode, type KeystayErrorOptions } from './errors.ts'
