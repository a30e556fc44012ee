import express from 'express'
import { toNodeListener } from 'keystay/node'
import { handler } from './service.ts'

const app = express()
// Before anything that reads bodies, such as express.json().
app.all('/client/v4/{*path}', toNodeListener(handler))
app.use(express.json())
app.get('/', (_, response) => response.send('my own application'))

const server = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  const { port } = server.address() as { port: number }
  console.log(`http://127.0.0.1:${port}`)
})
