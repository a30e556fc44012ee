// What the three servers beside this file have in common: a service, and who may use it.
import { openBackend } from 'keystay/backends'
import { createHandler, grantAccess, type Handler } from 'keystay/http'
import { CustomCsrService } from 'keystay/lifecycle'
import { openStore } from 'keystay/store'

const { KEYSTAY_BACKEND = 'webcrypto:', KEYSTAY_STORE = 'sqlite::memory:' } = process.env

const service = new CustomCsrService({
  backend: await openBackend(KEYSTAY_BACKEND),
  store: await openStore(KEYSTAY_STORE),
  openBackend, // for the keys of an earlier KEYSTAY_BACKEND
})
service.on('custom_csr.created', ({ customCsr, actor }) => {
  console.error(`${actor} created ${customCsr.id}`)
})

/** Speaks the API below `/client/v4`. Put your own sessions or tokens where the map is. */
export const handler: Handler = createHandler(service, {
  authorize: (request) => sessions.get(request.headers.get('authorization') ?? ''),
  onError: (error) => {
    console.error(error)
  },
})

const sessions = new Map([
  [
    `Bearer ${process.env.DEMO_TOKEN ?? crypto.randomUUID()}`,
    grantAccess({ actor: 'demo@example.com', role: 'edit', zones: ['demo'], accounts: ['acme'] }),
  ],
])
