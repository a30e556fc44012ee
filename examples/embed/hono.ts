import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { handler } from './service.ts'

const app = new Hono()
app.get('/', (context) => context.text('my own application'))
app.all('/client/v4/*', ({ req }) => handler(req.raw))

serve(
  { fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.env.PORT ?? 3000) },
  ({ port }) => {
    console.log(`http://127.0.0.1:${port}`)
  },
)
