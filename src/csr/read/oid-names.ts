/**
 * Names of the OIDs that requests carry beside those that keystay writes itself, for showing. Not
 * being here is no fault: an OID is then shown dotted.
 */
const NAMES: ReadonlyMap<string, string> = new Map([
  // signature algorithms (RFC 3279, 4055, 5758, 8410, 8692, 9881)
  ['1.2.840.113549.1.1.4', 'md5WithRSAEncryption'],
  ['1.2.840.113549.1.1.5', 'sha1WithRSAEncryption'],
  ['1.2.840.113549.1.1.10', 'rsassaPss'],
  ['1.2.840.113549.1.1.11', 'sha256WithRSAEncryption'],
  ['1.2.840.113549.1.1.12', 'sha384WithRSAEncryption'],
  ['1.2.840.113549.1.1.13', 'sha512WithRSAEncryption'],
  ['1.2.840.113549.1.1.14', 'sha224WithRSAEncryption'],
  ['1.2.840.10045.4.1', 'ecdsa-with-SHA1'],
  ['1.2.840.10045.4.3.1', 'ecdsa-with-SHA224'],
  ['1.2.840.10045.4.3.2', 'ecdsa-with-SHA256'],
  ['1.2.840.10045.4.3.3', 'ecdsa-with-SHA384'],
  ['1.2.840.10045.4.3.4', 'ecdsa-with-SHA512'],
  ['1.2.840.10040.4.3', 'dsa-with-sha1'],
  ['2.16.840.1.101.3.4.3.2', 'dsa-with-sha256'],
  // public keys
  ['1.2.840.113549.1.1.1', 'rsaEncryption'],
  ['1.2.840.10040.4.1', 'dsa'],
  ['1.2.840.10045.2.1', 'ecPublicKey'],
  ['1.3.101.112', 'Ed25519'],
  ['1.3.101.113', 'Ed448'],
  ['2.16.840.1.101.3.4.3.17', 'ML-DSA-44'],
  ['2.16.840.1.101.3.4.3.18', 'ML-DSA-65'],
  ['2.16.840.1.101.3.4.3.19', 'ML-DSA-87'],
  // curves
  ['1.2.840.10045.3.1.7', 'P-256'],
  ['1.3.132.0.34', 'P-384'],
  ['1.3.132.0.35', 'P-521'],
  ['1.3.132.0.10', 'secp256k1'],
  ['1.3.36.3.3.2.8.1.1.7', 'brainpoolP256r1'],
  ['1.3.36.3.3.2.8.1.1.11', 'brainpoolP384r1'],
  ['1.3.36.3.3.2.8.1.1.13', 'brainpoolP512r1'],
  // attributes of a request (RFC 2985, Microsoft)
  ['1.2.840.113549.1.9.2', 'unstructuredName'],
  ['1.2.840.113549.1.9.7', 'challengePassword'],
  ['1.2.840.113549.1.9.8', 'unstructuredAddress'],
  ['1.2.840.113549.1.9.14', 'extensionRequest'],
  ['1.3.6.1.4.1.311.2.1.14', 'microsoftExtensionRequest'],
  ['1.3.6.1.4.1.311.13.2.2', 'microsoftEnrollmentCsp'],
  ['1.3.6.1.4.1.311.13.2.3', 'microsoftOsVersion'],
  ['1.3.6.1.4.1.311.21.20', 'microsoftRequestClientInfo'],
  // extensions
  ['2.5.29.14', 'subjectKeyIdentifier'],
  ['2.5.29.15', 'keyUsage'],
  ['2.5.29.17', 'subjectAltName'],
  ['2.5.29.18', 'issuerAltName'],
  ['2.5.29.19', 'basicConstraints'],
  ['2.5.29.30', 'nameConstraints'],
  ['2.5.29.31', 'cRLDistributionPoints'],
  ['2.5.29.32', 'certificatePolicies'],
  ['2.5.29.35', 'authorityKeyIdentifier'],
  ['2.5.29.37', 'extKeyUsage'],
  ['1.3.6.1.5.5.7.1.1', 'authorityInfoAccess'],
  ['1.3.6.1.5.5.7.1.24', 'tlsFeature'],
  ['1.3.6.1.4.1.311.20.2', 'certificateTemplateName'],
  ['1.3.6.1.4.1.311.21.7', 'certificateTemplate'],
  ['1.3.6.1.4.1.311.21.10', 'applicationPolicies'],
  ['1.3.6.1.4.1.311.25.2', 'microsoftSecurityIdentifier'],
  ['1.2.840.113549.1.9.15', 'smimeCapabilities'],
  ['2.16.840.1.113730.1.1', 'netscapeCertType'],
])

/** The name of an OID, where it has one here. */
export function oidName(oid: string): string | undefined {
  return NAMES.get(oid)
}
