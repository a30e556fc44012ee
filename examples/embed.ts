import { CsrBuilder } from 'keystay'
import { openBackend } from 'keystay/backends'

await using backend = await openBackend(process.env.KEYSTAY_BACKEND ?? 'webcrypto:')
const key = await backend.generateKey('p256v1', { label: 'keystay:demo' })
const csr = await new CsrBuilder({
  subject: { country: 'US', organization: 'City of Boston', commonName: 'app.example.com' },
  sans: ['app.example.com', { ip: '192.0.2.1' }],
}).sign(key)
console.log(csr.pem) // for the customer; there are csr.der and csr.publicKey too
console.error(key.uri) // to be stored: it names the key for ever
