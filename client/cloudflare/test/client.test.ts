import { describe, expect, it } from 'vitest';

import { BatchLab, Denied, DocumentError, KeyTaken, NotFound, ServiceError, SettingsError, type JobInfo } from '../src/index.js';

const ENV = { BATCHLAB_URL: 'https://lab.lambda-url.eu-central-1.on.aws', BATCH_AWS_ACCESS_KEY: 'AKIDEXAMPLE', BATCH_AWS_SECRET_KEY: 'secret' };
const JOB = { id: '01k0000000000000000000000a', state: 'queued' } as JobInfo;

/** An endpoint that gives these answers, one after the other, and remembers what was asked. */
function endpoint(...answers: (Response | Error)[]) {
  const asked: Request[] = [];
  const fetch = async (request: Request): Promise<Response> => {
    asked.push(request);
    const answer = answers[Math.min(asked.length, answers.length) - 1]!;
    if (answer instanceof Error) throw answer;
    return answer.clone();
  };
  return { asked, client: new BatchLab(ENV, { fetch }) };
}

function problem(status: number, body: object, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers: { 'content-type': 'application/problem+json', ...headers } });
}

describe('submit', () => {
  it('posts the document, signed for the region of the address, with its key', async () => {
    const { asked, client } = endpoint(Response.json(JOB, { status: 202 }));
    expect(await client.submit({ type: 'self-test' }, { idempotencyKey: 'photos-17' })).toEqual(JOB);
    const [request] = asked;
    expect([request!.method, request!.url]).toEqual(['POST', `${ENV.BATCHLAB_URL}/v1/jobs`]);
    expect(request!.headers.get('idempotency-key')).toBe('photos-17');
    expect(request!.headers.get('authorization')).toMatch(/Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/lambda\/aws4_request/);
    expect(await request!.json()).toEqual({ type: 'self-test', idempotency_key: 'photos-17' });
  });

  it('sends one key over all tries of a call, also when the caller gave none', async () => {
    const { asked, client } = endpoint(new Error('connection lost'), problem(503, {}), problem(409, {}), Response.json(JOB));
    expect(await client.submit({ type: 'self-test' })).toEqual(JOB);
    const keys = asked.map((request) => request.headers.get('idempotency-key'));
    expect(keys).toHaveLength(4);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('spells in the document what no header can', async () => {
    const { asked, client } = endpoint(Response.json(JOB));
    await client.submit({ type: 'self-test', idempotency_key: 'Bräutigam' });
    expect(asked[0]!.headers.has('idempotency-key')).toBe(false);
    expect(await asked[0]!.json()).toMatchObject({ idempotency_key: 'Bräutigam' });
  });

  it('gives up after three retries, and does not wait longer than a Worker should', async () => {
    const broken = endpoint(new Error('connection lost'));
    await expect(broken.client.submit({ type: 'self-test' })).rejects.toThrow(ServiceError);
    expect(broken.asked).toHaveLength(4);
    const busy = endpoint(problem(429, { detail: 'Too many.' }, { 'retry-after': '60' }));
    await expect(busy.client.submit({ type: 'self-test' })).rejects.toMatchObject({ retryAfter: 60, status: 429 });
    expect(busy.asked).toHaveLength(1);
  });

  it('tells every problem of the document', async () => {
    const problems = ['type: no job type "zip-exprot".', 'output: missing.'];
    const { client } = endpoint(problem(422, { title: 'The document is not valid', problems }));
    const error = await client.submit({ type: 'zip-exprot' }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DocumentError);
    expect((error as DocumentError).problems).toEqual(problems);
  });

  it('refuses a document that no endpoint takes before it is sent', async () => {
    const { asked, client } = endpoint(Response.json(JOB));
    const params = { items: ['x'.repeat(6 * 1024 * 1024)] };
    await expect(client.submit({ type: 'zip-export', params })).rejects.toThrow(/manifest/);
    expect(asked).toHaveLength(0);
  });

  it('follows no redirect with a signed request', async () => {
    const { asked, client } = endpoint(new Response(null, { status: 307, headers: { location: 'https://elsewhere.example' } }));
    await expect(client.submit({ type: 'self-test' })).rejects.toThrow(/BATCHLAB_URL/);
    expect(asked[0]!.redirect).toBe('manual');
  });

  it('shows a token instead of a signature where the service asks for one', async () => {
    const asked: Request[] = [];
    const fetch = async (request: Request): Promise<Response> => (asked.push(request), Response.json(JOB));
    await new BatchLab({ BATCHLAB_URL: 'https://lab.example', BATCHLAB_TOKEN: 't' }, { fetch }).submit({ type: 'self-test' });
    expect(asked[0]!.headers.get('authorization')).toBe('Bearer t');
  });
});

describe('errors say what to do', () => {
  it.each([
    [problem(403, { Message: 'Forbidden' }), Denied, /BATCH_AWS_ACCESS_KEY/],
    [problem(404, { detail: 'There is no job x.' }), NotFound, /no job x/],
    [problem(422, { problems: ['idempotency_key: job 01k has it already, with another content. Use a new key.'] }), KeyTaken, /Use a new key/],
    [problem(422, { problems: ['idempotency_key: at most 255 characters.'] }), DocumentError, /at most 255/],
    [new Response('<html>', { status: 400 }), DocumentError, /<html>/],
  ])('%#', async (answer, kind, words) => {
    const error: unknown = await endpoint(answer).client.get('x').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toMatch(words);
  });

  it('names the variable that is not set', async () => {
    await expect(new BatchLab({}).get('x')).rejects.toThrow(new SettingsError('BATCHLAB_URL is not set in the Worker; ./deploy.sh prints it.'));
    await expect(new BatchLab({ BATCHLAB_URL: 'https://lab.example' }).get('x')).rejects.toThrow(/BATCH_AWS_ACCESS_KEY is not set/);
  });

  it('reads the Worker’s own environment when it is given none', async () => {
    const asked: string[] = [];
    const fetch = async (request: Request): Promise<Response> => (asked.push(request.url), Response.json(JOB));
    await new BatchLab(undefined, { fetch }).get('x');
    expect(asked).toEqual(['https://lab.lambda-url.eu-central-1.on.aws/v1/jobs/x']);
  });
});

describe('poll', () => {
  it('looks once, says when to look again, and asks for nothing that it has', async () => {
    const running = Response.json({ ...JOB, state: 'running' }, { headers: { etag: '"1"', 'retry-after': '7' } });
    const unchanged = new Response(null, { status: 304, headers: { etag: '"1"', 'retry-after': '30' } });
    const done = Response.json({ ...JOB, state: 'partial' }, { headers: { etag: '"2"' } });
    const { asked, client } = endpoint(running, unchanged, done);
    const first = await client.poll(JOB.id);
    expect(first).toMatchObject({ ended: false, again: 7, etag: '"1"', job: { state: 'running' } });
    const second = await client.poll(JOB.id, first);
    expect(second).toMatchObject({ ended: false, again: 30, etag: '"1"', job: { state: 'running' } });
    expect(asked[1]!.headers.get('if-none-match')).toBe('"1"');
    expect(await client.poll(JOB.id, second)).toMatchObject({ ended: true, again: null, job: { state: 'partial' } });
  });
});

describe('retry', () => {
  it('is not asked for again when the answer was lost, for it may have begun', async () => {
    const { asked, client } = endpoint(new Error('connection lost'));
    await expect(client.retry('x')).rejects.toThrow(ServiceError);
    expect(asked).toHaveLength(1);
  });
});

describe('the other questions', () => {
  it('go to their addresses', async () => {
    const { asked, client } = endpoint(Response.json({}));
    await client.items('x', { outcome: 'failed', limit: 20 });
    await client.cancel('x');
    await client.retry('x');
    await client.estimate({ type: 'self-test' });
    expect(asked.map(({ method, url }) => `${method} ${new URL(url).pathname}${new URL(url).search}`)).toEqual([
      'GET /v1/jobs/x/items?outcome=failed&limit=20',
      'POST /v1/jobs/x/cancel',
      'POST /v1/jobs/x/retry',
      'POST /v1/estimates',
    ]);
  });
});
