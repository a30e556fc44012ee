import type { Options } from 'tsup'

const options: Options = {
  entry: {
    index: 'src/index.ts',
    'lifecycle/index': 'src/lifecycle/index.ts',
    'store/index': 'src/store/index.ts',
    'store/sqlite/worker': 'src/store/sqlite/worker.ts',
    'http/index': 'src/http/index.ts',
    'http/node-listener': 'src/http/node-listener.ts',
    'backends/index': 'backends/index.ts',
    'backends/webcrypto/index': 'backends/webcrypto/index.ts',
    'backends/pkcs11/index': 'backends/pkcs11/index.ts',
    'backends/pkcs11/worker': 'backends/pkcs11/worker.ts',
    'backends/aws-kms/index': 'backends/aws-kms/index.ts',
    'testing/index': 'src/testing/index.ts',
    'cli/main': 'src/cli/main.ts',
  },
  format: 'esm',
  target: 'node22',
  // The browser takes the root entry as it is: no platform may be assumed.
  platform: 'neutral',
  // node:sqlite has no other name.
  removeNodeProtocol: false,
  external: [/^node:/, 'pkcs11js', '@aws-sdk/client-kms', 'commander'],
  dts: true,
  clean: true,
  sourcemap: false,
}

export default options
