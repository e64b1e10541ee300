// The example Worker in workerd, until stdin ends: for tests/worker, which drive it from outside.
//
//   node test/server.mjs VARIABLES PORT      VARIABLES: the Worker's, as JSON; PORT: 0 for a free one
//
// Prints {"worker": URL, "bucket": URL} as a line. The bucket's URL answers GET, PUT and, at its root, the list of keys:
// to the Worker it is R2's binding, to everybody else R2's other door.
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';

const [variables, port] = [JSON.parse(process.argv[2]), Number(process.argv[3])];
const built = await build({
  entryPoints: [fileURLToPath(new URL('../example/src/index.ts', import.meta.url))],
  bundle: true,
  format: 'esm',
  target: 'es2022',
  conditions: ['workerd', 'worker', 'browser'],
  external: ['cloudflare:workers'],
  write: false,
});
const options = {
  host: '127.0.0.1',
  port,
  cf: false, // or it asks the internet where it is
  modules: true,
  script: built.outputFiles[0].text,
  compatibilityDate: '2026-10-01',
  bindings: variables,
  r2Buckets: { BATCHLAB_BUCKET: variables.R2_BUCKET },
};
const miniflare = new Miniflare(convertV4MiniflareOptions(options));
const bucket = await miniflare.getR2Bucket('BATCHLAB_BUCKET');

async function keys() {
  const found = [];
  for (let cursor; ; ) {
    const page = await bucket.list(cursor ? { cursor } : {});
    found.push(...page.objects.map(({ key }) => key));
    if (!page.truncated) return found;
    cursor = page.cursor;
  }
}

const door = createServer(async (request, answer) => {
  const key = decodeURIComponent(request.url.slice(1));
  if (request.method === 'PUT') {
    const parts = [];
    for await (const part of request) parts.push(part);
    await bucket.put(key, Buffer.concat(parts));
    answer.writeHead(204).end();
  } else if (key === '') {
    answer.end(JSON.stringify(await keys()));
  } else {
    const object = await bucket.get(key);
    if (object === null) answer.writeHead(404).end();
    else answer.end(Buffer.from(await object.arrayBuffer()));
  }
});
door.listen(0, '127.0.0.1', async () => {
  const worker = (await miniflare.ready).origin;
  console.log(JSON.stringify({ worker, bucket: `http://127.0.0.1:${door.address().port}` }));
});

process.stdin.resume();
process.stdin.on('end', async () => {
  await miniflare.dispose();
  process.exit(0);
});
