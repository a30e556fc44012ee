import { generateKeyPairSync } from 'node:crypto'
import { CertificationRequestInfo } from '@peculiar/asn1-csr'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import * as x509 from '@peculiar/asn1-x509'
import { encodeRequestInfo } from '../src/csr/request/encode-request.ts'
import { checkRequest } from '../src/csr/request/request.ts'
import { measure, print, tightLoop } from './harness.ts'

const SUBJECT = { country: 'US', state: 'MA', locality: 'Boston', organization: 'City of Boston' }
const OIDS = { country: '2.5.4.6', state: '2.5.4.8', locality: '2.5.4.7', organization: '2.5.4.10' }

/** The same request by the library that the tests use as their oracle. */
function encodeByAsn1Csr(sans: readonly string[], spki: Uint8Array): ArrayBuffer {
  const names = Object.entries(SUBJECT).map(([field, value]) => {
    const text = field === 'country' ? { printableString: value } : { utf8String: value }
    const type = OIDS[field as keyof typeof OIDS]
    return new x509.RelativeDistinguishedName([
      new x509.AttributeTypeAndValue({ type, value: new x509.AttributeValue(text) }),
    ])
  })
  const general = new x509.SubjectAlternativeName(
    sans.map((dNSName) => new x509.GeneralName({ dNSName })),
  )
  const extensions = new x509.Extensions([
    new x509.Extension({
      extnID: x509.id_ce_subjectAltName,
      critical: false,
      extnValue: new OctetString(AsnConvert.serialize(general)),
    }),
  ])
  const info = new CertificationRequestInfo({
    subject: new x509.Name(names),
    subjectPKInfo: AsnConvert.parse(spki, x509.SubjectPublicKeyInfo),
  })
  info.attributes.push(
    new x509.Attribute({
      type: '1.2.840.113549.1.9.14',
      values: [AsnConvert.serialize(extensions)],
    }),
  )
  return AsnConvert.serialize(info)
}

/** Checks and encodes a request; no signature. */
export async function benchEncoding({ rounds }: { readonly rounds: number }): Promise<void> {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }))
  for (const count of [1, 4, 100, 1000]) {
    const sans = Array.from({ length: count }, (_, index) => `host-${index}.app.example.com`)
    const request = { subject: SUBJECT, sans }
    if (
      !Buffer.from(encodeRequestInfo(checkRequest(request), spki)).equals(
        Buffer.from(encodeByAsn1Csr(sans, spki)),
      )
    ) {
      throw new Error('the two encodings differ')
    }
    const size = Math.ceil(40_000 / count)
    const checked = checkRequest(request)
    print(
      `encode ${count} SANs, no signature`,
      await measure(
        [
          tightLoop('keystay: check and encode', size, () =>
            encodeRequestInfo(checkRequest(request), spki),
          ),
          tightLoop('keystay: encode', size, () => encodeRequestInfo(checked, spki)),
          tightLoop('@peculiar/asn1-csr: encode', Math.ceil(size / 100), () =>
            encodeByAsn1Csr(sans, spki),
          ),
        ],
        rounds,
      ),
    )
  }
}
