// Writes the file that ./deploy.sh puts into a Worker's sources: this package's integration in one module.
//
//   node build/integration.mjs           writes it
//   node build/integration.mjs --check   exits 1 when it is not what the sources give
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const target = here('../../../infra/batchlab_infra/deploy/aws-batch-integration.js');

const banner = `// Written by ./deploy.sh of batchlab, which writes it again: change nothing here.
//
//   import { AWSBatchIntegration } from './aws-batch-integration.js';
//   const batch = new AWSBatchIntegration(env);
//   const result = await batch.submitPhotoProcessingJob(eventId, photos);
//
// \`photos\` is a list of URLs or {url, name?, id?, size?, takenAt?}. The Worker needs \`npm install aws4fetch\`, and of
// env BATCH_AWS_ACCESS_KEY and BATCH_AWS_SECRET_KEY; what else it finds there stands before what was deployed.
// The same and more, with types, is in the npm package batchlab, of whose sources this is made (client/cloudflare).
const DEPLOYED = {};
`;

const built = await build({
  entryPoints: [here('deployed.mjs')],
  bundle: true,
  format: 'esm',
  target: 'es2022',
  external: ['aws4fetch', 'cloudflare:workers'],
  legalComments: 'none',
  write: false,
});
// esbuild notes each source file by a path that differs between machines' folders
const content = banner + built.outputFiles[0].text.replace(/^\/\/ .*(?:src|build)\/[\w/-]+\.(?:ts|mjs)\n/gm, '');

if (process.argv.includes('--check')) {
  if ((await readFile(target, 'utf8')) !== content) {
    console.error('aws-batch-integration.js is not what client/cloudflare/src gives: npm run integration --prefix client/cloudflare');
    process.exit(1);
  }
} else {
  await writeFile(target, content);
}
