/** After `keystay serve --help`. */
export const SERVE_HELP: string = `
Every option has a variable: KEYSTAY_BACKEND, KEYSTAY_STORE, KEYSTAY_CREDENTIALS,
KEYSTAY_REFUSE_NAMES, KEYSTAY_COMMON_NAME, KEYSTAY_QUOTA, KEYSTAY_HOST, KEYSTAY_PORT,
KEYSTAY_BASE_PATH, KEYSTAY_MAX_CONNECTIONS, KEYSTAY_DRAIN, KEYSTAY_STOP_TIMEOUT, KEYSTAY_LOG_LEVEL.

Stores:
  sqlite:FILE
      a file; nothing to install
  postgres://USER@HOST/DATABASE
      PostgreSQL, for several servers at once; needs: npm install pg
      A password belongs in KEYSTAY_STORE, PGPASSWORD or PGPASSFILE: everybody sees the command line.

Examples:
  $ (umask 077; head -c 32 /dev/urandom | base64 > keystay.secret)
  $ export KEYSTAY_BACKEND="webcrypto:$PWD/keyring?secret-source=file:$PWD/keystay.secret"
  $ keystay credential create --email you@example.com --zone ZONE_ID --role edit
  $ keystay serve
  $ curl http://127.0.0.1:8787/client/v4/zones/ZONE_ID/custom_csrs \\
      -H 'X-Auth-Email: you@example.com' -H 'X-Auth-Key: SECRET'

It speaks plain HTTP: put a proxy with TLS in front of it before others can reach it.
/healthz answers while it runs, /readyz when store and backend work. SIGTERM stops it gracefully.
`

/** After `keystay credential --help`. */
export const CREDENTIAL_HELP: string = `
Examples:
  $ keystay credential create --email ops@example.com --zone ZONE_ID --account ACCOUNT_ID --role edit
  $ SECRET=$(keystay credential create --email ci@example.com --zone ZONE_ID --role read)
  $ keystay credential list --json
  $ keystay credential revoke ID

The secret is on standard output, and nowhere else: the file has its hash. Clients send it as
X-Auth-Email and X-Auth-Key, or as Authorization: Bearer.
`
