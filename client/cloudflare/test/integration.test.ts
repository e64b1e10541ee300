import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';

import { AWSBatchIntegration, DocumentError, SettingsError, type JobDocument, type Photo, type SubmitOptions } from '../src/index.js';

const KEYS = { BATCH_AWS_ACCESS_KEY: 'a', BATCH_AWS_SECRET_KEY: 'b' };
const BY_URL = { ...KEYS, BATCHLAB_URL: 'https://lab.example', BATCHLAB_OUTPUT: 's3://lab/exports' };
const PHOTOS: Photo[] = ['https://p.example/1.jpg', { url: 'https://p.example/2.jpg', id: 2, takenAt: new Date('2026-06-06T14:30:00Z') }];

/** What a call sends by this environment. */
async function sent(worker: object | undefined, event: string, photos: Photo[], options?: SubmitOptions) {
  const asked: Request[] = [];
  const fetch = async (request: Request): Promise<Response> => {
    asked.push(request.clone());
    return Response.json({ id: 'job', MessageId: 'message', jobId: 'batch-job' });
  };
  const result = await new AWSBatchIntegration(worker, { fetch }).submitPhotoProcessingJob(event, photos, options);
  const request = asked[0]!;
  const body = await request.json<Record<string, unknown>>();
  return { result, request, body, document: body as unknown as JobDocument };
}

describe('submitPhotoProcessingJob', () => {
  it('posts a zip-export whose key is that of its photos', async () => {
    const { result, request, document } = await sent(BY_URL, 'Ana & Ben', PHOTOS);
    expect(result).toMatchObject({ mode: 'url', id: 'job', job: { id: 'job' } });
    expect(document).toEqual({
      type: 'zip-export',
      title: 'Ana & Ben',
      output: 's3://lab/exports',
      params: {
        items: ['https://p.example/1.jpg', { url: 'https://p.example/2.jpg', id: 2, takenAt: '2026-06-06T14:30:00.000Z' }],
        name: 'Ana-Ben.zip',
      },
      idempotency_key: document.idempotency_key,
    });
    expect(request.headers.get('idempotency-key')).toBe(document.idempotency_key);
    expect(document.idempotency_key).toMatch(/^photos-Ana-Ben-[0-9a-f]{32}$/);
  });

  it('makes one key of the same photos however they are spelt, and another of others', async () => {
    const keyOf = async (photos: Photo[], event = '17', options?: SubmitOptions) => (await sent(BY_URL, event, photos, options)).document.idempotency_key;
    const key = await keyOf([{ url: 'https://p.example/1.jpg', name: 'a.jpg' }]);
    expect(await keyOf([{ name: 'a.jpg', url: 'https://p.example/1.jpg' }])).toBe(key);
    expect(await keyOf([{ url: 'https://p.example/1.jpg', name: 'b.jpg' }])).not.toBe(key);
    expect(await keyOf([{ url: 'https://p.example/1.jpg', name: 'a.jpg' }], '18')).not.toBe(key);
    expect(await keyOf(PHOTOS, '17', { idempotencyKey: 'mine' })).toBe('mine');
  });

  it('takes everything a document may say', async () => {
    const options: SubmitOptions = { name: 'album.zip', expires: '7d', tags: { event: '17' }, params: { dates: 'exif' } };
    const { document } = await sent(BY_URL, '17', PHOTOS, options);
    expect(document).toMatchObject({ expires: '7d', tags: { event: '17' }, params: { name: 'album.zip', dates: 'exif' } });
  });

  it('delivers to the bucket of the Worker when nothing else is said', async () => {
    const { document } = await sent({ ...BY_URL, BATCHLAB_OUTPUT: '', R2_BUCKET: 'shop' }, '17', PHOTOS);
    expect(document.output).toBe('r2://shop/exports');
  });

  it('reads the Worker’s own environment when it is made without arguments', async () => {
    const { request, document } = await sent(undefined, '17', PHOTOS);
    expect(new URL(request.url).host).toBe('lab.lambda-url.eu-central-1.on.aws');
    expect(document.output).toBe('r2://wedding-photos/exports');
  });

  it('says which photo is wrong, and why', async () => {
    const photos = ['https://p.example/1.jpg', { url: '' }, { url: 'https://p.example/3.jpg', takenat: '2026' }] as Photo[];
    const error: unknown = await sent(BY_URL, '17', photos).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DocumentError);
    expect((error as DocumentError).problems).toEqual([
      'photos[1]: expected a URL, or {url, name?, id?, size?, takenAt?}.',
      'photos[2]: takenat is unknown; known are url, name, id, size, takenAt.',
    ]);
    await expect(sent(BY_URL, '17', [])).rejects.toThrow(/has no photos/);
    await expect(sent(BY_URL, '', PHOTOS)).rejects.toThrow(/eventId is missing/);
  });
});

describe('the ways out of a Worker', () => {
  const queue = { BATCH_SQS_QUEUE_URL: 'https://sqs.eu-central-1.amazonaws.com/1/lab-jobs' };
  const batch = { BATCH_JOB_QUEUE_ARN: 'q', BATCH_JOB_DEFINITION_ARN: 'd', BATCH_AWS_REGION: 'eu-central-1' };

  it('sends a message when there is a queue', async () => {
    const { result, request, body } = await sent({ ...KEYS, ...queue, R2_BUCKET: 'shop' }, '17', PHOTOS);
    expect(result).toEqual({ mode: 'sqs', id: 'message' });
    expect(request.headers.get('x-amz-target')).toBe('AmazonSQS.SendMessage');
    expect(request.headers.get('authorization')).toContain('/eu-central-1/sqs/aws4_request');
    expect(body.QueueUrl).toBe(queue.BATCH_SQS_QUEUE_URL);
    expect(JSON.parse(body.MessageBody as string)).toMatchObject({ type: 'zip-export', idempotency_key: expect.any(String) });
  });

  it('submits to AWS Batch when there is nothing else', async () => {
    const { result, request, body } = await sent({ ...KEYS, ...batch, R2_BUCKET: 'shop' }, '17', PHOTOS);
    expect(result).toEqual({ mode: 'batch', id: 'batch-job' });
    expect(request.url).toBe('https://batch.eu-central-1.amazonaws.com/v1/submitjob');
    expect(body).toMatchObject({ jobName: '17', jobQueue: 'q', jobDefinition: 'd' });
  });

  it('goes the way that BATCH_WORKER_ACCESS names', async () => {
    const all = { ...BY_URL, ...queue, ...batch };
    expect((await sent(all, '17', PHOTOS)).result.mode).toBe('url');
    expect((await sent({ ...all, BATCH_WORKER_ACCESS: 'sqs' }, '17', PHOTOS)).result.mode).toBe('sqs');
    await expect(sent({ ...all, BATCH_WORKER_ACCESS: 'none' }, '17', PHOTOS)).rejects.toThrow(/--set worker_access=url/);
    await expect(sent(KEYS, '17', PHOTOS)).rejects.toThrow(SettingsError);
  });

  it('never starts a job of AWS Batch twice for an answer that was lost', async () => {
    let tries = 0;
    const fetch = async (): Promise<Response> => {
      tries += 1;
      throw new Error('connection lost');
    };
    const integration = new AWSBatchIntegration({ ...KEYS, ...batch, R2_BUCKET: 'shop' }, { fetch });
    await expect(integration.submitPhotoProcessingJob('17', PHOTOS)).rejects.toThrow(/did not answer/);
    expect(tries).toBe(1);
  });

  it('follows jobs by url only', async () => {
    await expect(new AWSBatchIntegration({ ...KEYS, ...queue }).get('x')).rejects.toThrow(/worker_access=url/);
  });
});

describe('a long list', () => {
  const many: Photo[] = Array.from({ length: 6_000 }, (_, number) => ({ url: `https://p.example/${'x'.repeat(900)}/${number}.jpg`, id: number }));
  const worker = { ...BY_URL, R2_BUCKET: 'wedding-photos', BATCHLAB_BUCKET: env.BATCHLAB_BUCKET };

  it('goes to R2 first, as JSON lines with their digest and count', async () => {
    const { document } = await sent(worker, '17', many);
    const [manifest] = document.params!.items as [{ manifest: string; sha256: string; count: number }];
    expect(manifest).toEqual({ manifest: `r2://wedding-photos/lists/${manifest.sha256}.jsonl`, sha256: manifest.sha256, count: 6_000 });
    const stored = await env.BATCHLAB_BUCKET.get(`lists/${manifest.sha256}.jsonl`);
    const lines = (await stored!.text()).trimEnd().split('\n');
    expect(lines).toHaveLength(6_000);
    expect(JSON.parse(lines[5_999]!)).toEqual(many[5_999]);
    const reordered = many.map((photo) => Object.fromEntries(Object.entries(photo).reverse()) as unknown as Photo);
    const again = await sent(worker, '17', reordered);
    expect(again.document).toEqual(document);
  });

  it('says what to bind when there is nowhere to put it', async () => {
    await expect(sent(BY_URL, '17', many)).rejects.toThrow(/Bind an R2 bucket as BATCHLAB_BUCKET/);
  });
});
