/** The request of record: what a client of the custom CSR API sends. */
export const RECORD: Readonly<Record<string, unknown>> & { readonly sans: readonly string[] } = {
  country: 'US',
  state: 'MA',
  locality: 'Boston',
  organization: 'City of Boston',
  organizational_unit: 'Championship Parade Detail',
  common_name: 'app.example.com',
  sans: ['app.example.com', 'www.example.com', 'blog.example.com', 'example.com'],
  key_type: 'p256v1',
}
