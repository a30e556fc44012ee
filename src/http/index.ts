/** Ring 3: custom CSRs over HTTP. */
export {
  grantAccess,
  type Access,
  type Authorize,
  type Grant,
  type Permission,
  type Refusal,
  type RefusalReason,
} from './access.ts'
export type { AnswerInfo } from './answer.ts'
export { createHandler, type Handler, type HandlerOptions } from './handler.ts'
export { createOpenApiDocument, type OpenApiDocument, type OpenApiOptions } from './openapi.ts'
