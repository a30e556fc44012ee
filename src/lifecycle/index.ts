/** Ring 2: custom CSRs that are remembered with their keys. */
export { CustomCsrService, type CustomCsrServiceOptions, type Quota } from './custom-csr-service.ts'
export type { OpenBackend } from './backend-set.ts'
export type { CommonNameRule } from './check-input.ts'
export type {
  CreateOptions,
  CreatedCustomCsr,
  CustomCsr,
  CustomCsrEvent,
  CustomCsrInput,
  CustomCsrList,
  CustomCsrs,
  DeletedCustomCsr,
  EventsOptions,
  ListOptions,
  RequestContext,
  Warning,
  WarningCode,
} from './custom-csr.ts'
export type { NamePolicy, RefusedNames } from './name-policy.ts'
export type { Reconciliation } from './reconcile.ts'
export type { ServiceEventName, ServiceEvents, ServiceListener } from './service-events.ts'
export type { CsrFilter, CustomCsrSubject, KeyState, Scope } from '../store/store.ts'
