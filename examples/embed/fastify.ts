import fastify from 'fastify'
import { toNodeListener } from 'keystay/node'
import { handler } from './service.ts'

const app = fastify()
app.get('/', () => 'my own application')

const listener = toNodeListener(handler)
await app.register((api, _, done) => {
  // keystay reads bodies itself: they are capped and checked there.
  api.removeAllContentTypeParsers()
  api.addContentTypeParser('*', (_request, _payload, parsed) => {
    parsed(null)
  })
  api.all('/client/v4/*', (request, reply) => {
    reply.hijack()
    return listener(request.raw, reply.raw)
  })
  done()
})

console.log(await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) }))
