// No import of the SDK here: these types are public, and users without it must be able to compile.

/** The KMS operations that this backend calls. */
export type KmsOperation =
  | 'CreateKey'
  | 'DescribeKey'
  | 'GetPublicKey'
  | 'ListKeys'
  | 'ListResourceTags'
  | 'ScheduleKeyDeletion'
  | 'Sign'

/** The part of the SDK's `KMSClient` that is used; pass one of your own as the option `client`. */
export interface KmsClient {
  readonly config: {
    region(): Promise<string>
    credentials(): Promise<unknown>
  }
  send(command: never, options?: { readonly abortSignal?: AbortSignal }): Promise<unknown>
  destroy(): void
}
