export {
  keyBackendContract,
  registerContract,
  type ContractCase,
  type ContractOptions,
  type ContractOutcome,
  type RegisterTest,
} from './contract/index.ts'
export {
  startKmsEmulator,
  type KmsEmulator,
  type KmsEmulatorKey,
  type KmsEmulatorOptions,
  type KmsErrorName,
  type KmsFault,
} from './kms-emulator/index.ts'
export { createSoftHsmToken, type SoftHsmOptions, type SoftHsmToken } from './softhsm.ts'
export {
  storeContract,
  type BindHostnames,
  type StoreContractOptions,
} from './store-contract/index.ts'
