import { env, exports } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';

import { servePage, SettingsError, type PageOptions } from '../src/index.js';

const TOKEN = 'aB3-_cD4eF5gH6iJ7kL8mN';
const FILE = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
const POLICY = "default-src 'none'; style-src 'sha256-abc='";
const INDEX = `<!doctype html><meta http-equiv="Content-Security-Policy" content="${POLICY}"><title>Ana &amp; Ben</title>`;
const EXPIRES = '2099-12-03T10:00:00+00:00';
const LATER = Date.parse(EXPIRES);
const NAME = 'Ana & Bén "1".zip';

const bucket = env.BATCHLAB_BUCKET;

async function put(name: string, body: string | object, token = TOKEN): Promise<void> {
  await bucket.put(`pages/${token}/${name}`, typeof body === 'string' ? body : JSON.stringify(body));
}

function link(...urls: string[]): object {
  const artifacts = urls.map((url, index) => ({ number: index + 1, name: index ? `${index + 1}.zip` : NAME, url, size_bytes: 1000, members: 3, content_type: 'application/zip' }));
  return { version: 1, state: 'partial', expires_at: EXPIRES, artifacts };
}

/** The answer of the whole example Worker, or of servePage alone when options are given. */
async function get(path: string, headers: Record<string, string> = {}, options?: PageOptions, method = 'GET'): Promise<Response> {
  const request = new Request(`https://shop.example${path}`, { method, headers });
  if (options === undefined) return exports.default.fetch(request);
  const answer = await servePage(request, env, options);
  expect(answer).not.toBeNull();
  return answer!;
}

beforeAll(async () => {
  await bucket.put('exports/Ana & Ben #1.zip', FILE);
  await put('index.html', INDEX);
  await put('gone.html', '<!doctype html><title>No longer available</title>');
  await put('status.json', { version: 1, state: 'partial', expires_at: EXPIRES });
  await put('link.json', link('r2://wedding-photos/exports/Ana%20&%20Ben%20%231.zip'));
});

describe('the page', () => {
  it('is served as it lies in R2, under the policy that stands in it', async () => {
    const answer = await get(`/s/${TOKEN}`);
    expect([answer.status, await answer.text()]).toEqual([200, INDEX]);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': `${POLICY}; frame-ancestors 'none'`,
      'cache-control': 'private, no-cache',
      'x-robots-tag': 'noindex, nofollow',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    });
    const again = await get(`/s/${TOKEN}`, { 'if-none-match': answer.headers.get('etag')! });
    expect([again.status, await again.text()]).toEqual([304, '']);
  });

  it('is gone from the moment on that it promised, to the millisecond', async () => {
    expect((await get(`/s/${TOKEN}`, {}, { now: LATER - 1 })).status).toBe(200);
    const gone = await get(`/s/${TOKEN}`, {}, { now: LATER });
    expect([gone.status, await gone.text()]).toEqual([410, '<!doctype html><title>No longer available</title>']);
  });

  it('does not say whether a token is unknown or none at all', async () => {
    const answers = await Promise.all(['/s/zzzzzzzzzzzzzzzzzzzzzz', '/s/short', '/s/', '/d/..%2f..%2fsecret', `/s/${TOKEN}/`, `/s/${TOKEN}/link.json`, `/d/${TOKEN}/1/2`].map((path) => get(path)));
    const texts = await Promise.all(answers.map((answer) => answer.text()));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([404]));
    expect(new Set(texts).size).toBe(1);
  });

  it('leaves all other paths to the Worker', async () => {
    expect(await servePage(new Request('https://shop.example/sale'), env)).toBeNull();
    expect(await servePage(new Request('https://shop.example/'), env)).toBeNull();
  });

  it('answers GET and HEAD only', async () => {
    const posted = await get(`/s/${TOKEN}`, {}, undefined, 'POST');
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    const head = await get(`/s/${TOKEN}`, {}, undefined, 'HEAD');
    expect([head.status, await head.text()]).toEqual([200, '']);
  });

  it('says what to bind when its bucket is not bound', async () => {
    await expect(get(`/s/${TOKEN}`, {}, { pagesRoot: 'r2://other' })).rejects.toThrow(SettingsError);
    await expect(get(`/s/${TOKEN}`, {}, { buckets: {} })).rejects.toThrow(/bind it as BATCHLAB_BUCKET/);
  });

  it('says in plain words that what lies there cannot be read', async () => {
    const token = 'broken-token-000000000';
    await put('status.json', 'no JSON', token);
    const answer = await get(`/s/${token}/status.json`);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '60']);
  });

  it('is found below a prefix, too', async () => {
    await bucket.put(`lab/pages/${TOKEN}/index.html`, 'below');
    expect(await (await get(`/s/${TOKEN}`, {}, { pagesRoot: 'r2://wedding-photos/lab/' })).text()).toBe('below');
  });
});

describe('status.json', () => {
  it('costs no body when it has not changed', async () => {
    const first = await get(`/s/${TOKEN}/status.json`);
    expect(await first.json()).toMatchObject({ state: 'partial' });
    const again = await get(`/s/${TOKEN}/status.json`, { 'if-none-match': first.headers.get('etag')! });
    expect([again.status, await again.text()]).toEqual([304, '']);
  });

  it('says no more than that it has expired', async () => {
    const gone = await get(`/s/${TOKEN}/status.json`, {}, { now: LATER });
    expect([gone.status, await gone.json()]).toEqual([410, { version: 1, state: 'expired' }]);
  });
});

describe('the download', () => {
  const path = `/d/${TOKEN}`;
  const bytes = async (answer: Response): Promise<number[]> => [...new Uint8Array(await answer.arrayBuffer())];

  it('is the file, whole, under its own name', async () => {
    for (const address of [path, `${path}/1`, `${path}/${encodeURIComponent(NAME)}`]) {
      const answer = await get(address);
      expect(answer.status).toBe(200);
      expect(await bytes(answer)).toEqual([...FILE]);
      expect(Object.fromEntries(answer.headers)).toMatchObject({
        'content-type': 'application/zip',
        'content-length': '1000',
        'content-disposition': `attachment; filename="Ana & B_n _1_.zip"; filename*=UTF-8''Ana%20%26%20B%C3%A9n%20%221%22.zip`,
        'accept-ranges': 'bytes',
        'cache-control': 'private, no-store',
      });
    }
  });

  it.each([
    ['bytes=0-99', 'bytes 0-99/1000', 0, 100],
    ['bytes=900-', 'bytes 900-999/1000', 900, 1000],
    ['bytes=-10', 'bytes 990-999/1000', 990, 1000],
    ['bytes=-5000', 'bytes 0-999/1000', 0, 1000],
    ['bytes=990-5000', 'bytes 990-999/1000', 990, 1000],
    ['bytes=0-0', 'bytes 0-0/1000', 0, 1],
  ])('goes on where it broke off: %s', async (range, shown, from, to) => {
    const answer = await get(path, { range });
    expect([answer.status, answer.headers.get('content-range')]).toEqual([206, shown]);
    expect(answer.headers.get('content-length')).toBe(String(to - from));
    expect(await bytes(answer)).toEqual([...FILE.slice(from, to)]);
  });

  it.each(['bytes=1000-', 'bytes=5000-6000', 'bytes=-0'])('has no such part: %s', async (range) => {
    const answer = await get(path, { range });
    expect([answer.status, answer.headers.get('content-range')]).toEqual([416, 'bytes */1000']);
  });

  it.each(['bytes=0-9,20-29', 'bytes=9-0', 'bytes=-', 'lines=1-2', 'bytes=a-b'])('is whole for what is no single range: %s', async (range) => {
    const answer = await get(path, { range });
    expect([answer.status, (await bytes(answer)).length]).toEqual([200, 1000]);
  });

  it('is asked for by its version', async () => {
    const etag = (await get(path, {}, undefined, 'HEAD')).headers.get('etag')!;
    const statusOf = async (headers: Record<string, string>): Promise<number> => {
      const answer = await get(path, headers);
      await answer.arrayBuffer();
      return answer.status;
    };
    expect(await statusOf({ 'if-none-match': `"other", ${etag}` })).toBe(304);
    expect(await statusOf({ 'if-none-match': '"other"' })).toBe(200);
    expect(await statusOf({ 'if-modified-since': new Date(Date.now() + 5000).toUTCString() })).toBe(304);
    expect(await statusOf({ 'if-match': '"other"' })).toBe(412);
    expect(await statusOf({ range: 'bytes=0-9', 'if-range': etag })).toBe(206);
    expect(await statusOf({ range: 'bytes=0-9', 'if-range': '"other"' })).toBe(200);
    expect(await statusOf({ range: 'bytes=0-9', 'if-range': new Date(0).toUTCString() })).toBe(200);
  });

  it('tells its length before the click', async () => {
    const answer = await get(path, { range: 'bytes=0-9' }, undefined, 'HEAD');
    expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([200, '1000', '']);
  });

  it('ends with the promise, although the file is still there', async () => {
    expect((await get(path, {}, { now: LATER - 1 }, 'HEAD')).status).toBe(200);
    const gone = await get(path, {}, { now: LATER });
    expect([gone.status, await gone.text()]).toEqual([410, '<!doctype html><title>No longer available</title>']);
    expect((await get(`${path}/1`, { range: 'bytes=0-9' }, { now: LATER })).status).toBe(410);
  });

  it('lists several files, and gives each by its number', async () => {
    const token = 'second-token-000000000';
    await put('index.html', 'the list', token);
    await bucket.put('exports/2.zip', '2');
    await put('link.json', link('r2://wedding-photos/exports/1.zip', 'r2://wedding-photos/exports/2.zip'), token);
    expect(await (await get(`/d/${token}`)).text()).toBe('the list');
    expect(await bytes(await get(`/d/${token}/2`))).toEqual([50]);
    expect(await bytes(await get(`/d/${token}/2.zip`))).toEqual([50]);
    expect((await get(`/d/${token}/3`)).status).toBe(404);
    expect((await get(`/d/${token}/1`)).status).toBe(404); // deleted behind our back
  });

  it.each([
    'r2://somebody-else/exports/a.zip',
    's3://wedding-photos/exports/2.zip',
    'https://wedding-photos/exports/2.zip',
    'r2://wedding-photos/%zz',
    'nonsense',
  ])('is never one from outside the bound bucket: %s', async (url) => {
    const token = 'third-token-0000000000';
    await put('link.json', link(url), token);
    expect((await get(`/d/${token}`)).status).toBe(403);
  });

  it('shows the page while there is nothing yet', async () => {
    const token = 'fourth-token-000000000';
    await put('index.html', 'in progress', token);
    expect(await (await get(`/d/${token}`)).text()).toBe('in progress');
    expect((await get(`/d/${token}/1`)).status).toBe(404);
    await put('link.json', { version: 1, state: 'expired', expires_at: null, artifacts: [] }, token);
    expect((await get(`/d/${token}`)).status).toBe(410);
  });

  it('gives an empty file', async () => {
    const token = 'fifth-token-0000000000';
    await bucket.put('exports/empty.zip', '');
    await put('link.json', link('r2://wedding-photos/exports/empty.zip'), token);
    const answer = await get(`/d/${token}`);
    expect([answer.status, await bytes(answer)]).toEqual([200, []]);
    expect((await get(`/d/${token}`, { range: 'bytes=0-' })).status).toBe(416);
  });
});
