import { KeystayError } from '../errors.ts'

/** What every device can hold as a label: PKCS#11 CKA_LABEL and a KMS tag value alike. */
const LABEL = /^[A-Za-z0-9._:/=+@-]{1,64}$/

/** Refuses a label that some device could not hold. @throws {KeystayError} `label_invalid` */
export function checkLabel(label: string): void {
  if (typeof label !== 'string' || !LABEL.test(label)) {
    throw new KeystayError(
      'label_invalid',
      `label ${JSON.stringify(label)} is not 1 to 64 of the characters A-Z a-z 0-9 . _ : / = + @ -`,
      { pointer: '/label' },
    )
  }
}
