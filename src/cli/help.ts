// What commander cannot know: examples, and where to go on.

const URIS = `
Backends:
  webcrypto:DIRECTORY?secret-source=file:/run/secret
      a keyring on disk, each key encrypted; nothing to install
  pkcs11:token=NAME?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin
      SoftHSM or any HSM (RFC 7512); needs: npm install pkcs11js
  awskms:region=eu-central-1
      AWS KMS, credentials as for the AWS CLI; needs: npm install @aws-sdk/client-kms
  A PIN or secret is read from file:/absolute/path or env:NAME, never from the command line.
`

/** After `keystay --help`. */
export const PROGRAM_HELP: string = `${URIS}
Examples:
  $ export KEYSTAY_BACKEND='pkcs11:token=prod?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin'
  $ keystay doctor
  $ keystay csr --key-type p256v1 --cn app.example.com --san app.example.com > app.csr
  $ keystay inspect app.csr
  $ keystay keys list
  $ keystay serve --help

Exit codes: 0 done, 1 failed, 2 the command line is wrong, 130 interrupted.
Go on with keystay <command> --help; the reference is docs/cli.md in the package.
`

/** After `keystay csr --help`. */
export const CSR_HELP: string = `${URIS}
Examples:
  A first try, with a keyring on disk:
  $ (umask 077; head -c 32 /dev/urandom | base64 > keystay.secret)
  $ export KEYSTAY_BACKEND="webcrypto:$PWD/keyring?secret-source=file:$PWD/keystay.secret"
  $ keystay csr --cn app.example.com --san app.example.com --san 192.0.2.1 --out app.csr

  A request from a file, with another key type:
  $ keystay csr --in request.json --key-type p384 --json

  Once more for a key that is there:
  $ keystay csr --in request.json --key "$(jq -r .key answer.json)"

request.json:
  { "country": "US", "state": "MA", "locality": "Boston", "organization": "City of Boston",
    "common_name": "app.example.com", "sans": ["app.example.com"], "key_type": "p256v1" }

The request (PEM) is on standard output, the key's URI on standard error; with --json both are in
one object. When signing fails, a key that was made for it is destroyed again.
`

/** After `keystay inspect --help`. */
export const INSPECT_HELP: string = `
Examples:
  $ keystay inspect app.csr
  $ openssl req -new -key key.pem -subj /CN=x | keystay inspect - --json

Exits with 1 when the signature is not valid.
`

/** After `keystay keys --help`. */
export const KEYS_HELP: string = `
Examples (the backend is taken from KEYSTAY_BACKEND, or add --backend URI):
  $ keystay keys list --label keystay: --json
  $ keystay keys show 'pkcs11:token=prod;id=%01%02;type=private'
  $ keystay keys destroy 'pkcs11:token=prod;id=%01%02;type=private' --yes
`

/** After `keystay doctor --help`. */
export const DOCTOR_HELP: string = `
Examples:
  $ keystay doctor --backend 'pkcs11:token=prod?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin'
  $ keystay doctor --backend awskms:region=eu-central-1 --trial

Every step is ✔ done, ✘ failed, ! done with a warning, or – skipped. Exits with 1 when one failed.
`
