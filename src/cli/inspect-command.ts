import { createHash } from 'node:crypto'
import { toHex } from '../csr/der/bytes.ts'
import { attributeTypeByOid } from '../csr/request/attribute-types.ts'
import { parseCsr, type ParsedCsr } from '../csr/parse-csr.ts'
import { encodePem } from '../csr/pem.ts'
import type { ParsedExtension } from '../csr/read/read-extensions.ts'
import type { ParsedAltName } from '../csr/read/read-general-names.ts'
import type { ParsedAttribute } from '../csr/read/read-name.ts'
import { KeystayError } from '../errors.ts'
import type { CliContext } from './context.ts'
import { readInput } from './files.ts'
import { paint, print, printable, toJson, type CliIo } from './io.ts'
import { formatFields } from './layout.ts'

/**
 * `keystay inspect`: any request, for reading or as JSON.
 * @throws {KeystayError} `csr_signature_invalid` after all was printed
 */
export async function inspectCsr({ io, json }: CliContext, path: string): Promise<void> {
  const csr = await parseCsr(await readInput(io, path))
  await print(io.stdout, json ? `${toJson(describeCsr(csr))}\n` : formatCsr(io, csr))
  const { status, reason } = csr.signature
  if (status === 'invalid') {
    throw new KeystayError(
      'csr_signature_invalid',
      `do not trust this request: ${reason ?? 'its signature is invalid'}`,
    )
  }
}

/** What is in a request, for programs. */
export function describeCsr(csr: ParsedCsr): object {
  const { subject, publicKey, signature } = csr
  return {
    subject: {
      text: subject.text,
      rdns: subject.rdns.map((rdn) =>
        rdn.map(({ oid, name, value, stringType, der }) => ({
          oid,
          name: name ?? null,
          value: value ?? null,
          ...(value === undefined ? { der } : { string_type: stringType }),
        })),
      ),
    },
    sans: csr.sans.map(sanJson),
    public_key: {
      key_type: publicKey.keyType ?? null,
      algorithm: publicKey.algorithmName,
      bits: publicKey.bits ?? null,
      curve: publicKey.curveName ?? null,
      sha256: fingerprint(publicKey.spki),
      pem: encodePem('PUBLIC KEY', publicKey.spki),
    },
    signature: {
      algorithm: signature.algorithm,
      status: signature.status,
      reason: signature.reason ?? null,
    },
    key_usage: csr.keyUsage ?? null,
    ext_key_usage: csr.extKeyUsage ?? null,
    basic_constraints: basicConstraintsJson(csr),
    tls_feature: csr.tlsFeature ?? null,
    certificate_template_name: csr.certificateTemplateName ?? null,
    extensions: csr.extensions,
    attributes: csr.attributes,
    warnings: csr.oddities,
  }
}

function sanJson(name: ParsedAltName): object {
  if ('directoryName' in name) return { directory_name: name.directoryName.text }
  if ('registeredId' in name) return { registered_id: name.registeredId }
  if ('otherName' in name) return { other_name: name.otherName }
  return name
}

function basicConstraintsJson({ basicConstraints }: ParsedCsr): object | null {
  if (basicConstraints === undefined) return null
  return { ca: basicConstraints.ca, path_len: basicConstraints.pathLen ?? null }
}

/** What is in a request, for reading. */
export function formatCsr({ stdout }: Pick<CliIo, 'stdout'>, csr: ParsedCsr): string {
  const { algorithmName, curveName, bits, keyType, spki } = csr.publicKey
  const facts = [algorithmName, curveName, bits === undefined ? undefined : `${bits} bits`]
  return formatFields(stdout, [
    ['Subject', csr.subject.rdns.map((rdn) => rdn.map(formatAttribute).join(' + '))],
    ['Names', csr.sans.map(formatSan)],
    [
      'Key',
      [
        `${keyType ?? 'of another type'} (${facts.filter((fact) => fact !== undefined).join(', ')})`,
        `SHA-256 ${fingerprint(spki)}`,
      ],
    ],
    ['Signature', formatSignature(stdout, csr.signature)],
    ['Extensions', csr.extensions.map((extension) => formatExtension(csr, extension))],
    [
      'Attributes',
      csr.attributes.map(({ oid, name, text, values }) =>
        printable(`${name ?? oid}: ${text ?? values.map(toHex).join(', ')}`),
      ),
    ],
    ['Warnings', csr.oddities.map(({ message }) => paint(stdout, 'yellow', printable(message)))],
  ])
}

function formatAttribute({ oid, value, der }: ParsedAttribute): string {
  return printable(`${attributeTypeByOid(oid)?.shortName ?? oid} = ${value ?? `#${toHex(der)}`}`)
}

const SAN_KINDS: Readonly<Record<string, string>> = {
  dns: 'DNS',
  ip: 'IP',
  email: 'email',
  uri: 'URI',
  upn: 'UPN',
  directory_name: 'directory',
  registered_id: 'registered ID',
}

function formatSan(name: ParsedAltName): string {
  if ('otherName' in name)
    return printable(`other ${name.otherName.oid} ${toHex(name.otherName.value)}`)
  if ('unread' in name) return `unread ${toHex(name.unread)}`
  const [[kind, value] = ['', '']] = Object.entries(sanJson(name)) as [string, string][]
  return printable(`${SAN_KINDS[kind] ?? kind} ${value}`)
}

function formatSignature(
  stdout: CliIo['stdout'],
  { algorithm, status, reason }: ParsedCsr['signature'],
): string {
  if (status === 'valid') return `${paint(stdout, 'green', '✔')} valid, ${algorithm}`
  const mark = status === 'invalid' ? paint(stdout, 'red', '✘') : paint(stdout, 'yellow', '!')
  const verdict = status === 'invalid' ? 'INVALID' : 'not verified'
  return `${mark} ${verdict}, ${algorithm}: ${printable(reason ?? '')}`
}

function formatExtension(csr: ParsedCsr, { oid, name, critical, value }: ParsedExtension): string {
  const meaning = describeExtension(csr, name ?? oid) ?? toHex(value)
  return printable(`${name ?? oid}${critical ? ' (critical)' : ''}: ${meaning}`)
}

function describeExtension(csr: ParsedCsr, name: string): string | undefined {
  const { basicConstraints, tlsFeature, sans } = csr
  switch (name) {
    case 'subjectAltName':
      return `${sans.length} ${sans.length === 1 ? 'name' : 'names'}, see above`
    case 'keyUsage':
      return csr.keyUsage?.join(', ')
    case 'extKeyUsage':
      return csr.extKeyUsage?.join(', ')
    case 'basicConstraints':
      if (basicConstraints?.ca !== true) return 'not a CA'
      return `CA${basicConstraints.pathLen === undefined ? '' : `, path length ${basicConstraints.pathLen}`}`
    case 'tlsFeature':
      return tlsFeature?.map((feature) => (feature === 5 ? '5 (must-staple)' : feature)).join(', ')
    case 'certificateTemplateName':
      return csr.certificateTemplateName
    default:
      return undefined
  }
}

function fingerprint(spki: Uint8Array): string {
  return createHash('sha256').update(spki).digest('hex')
}
