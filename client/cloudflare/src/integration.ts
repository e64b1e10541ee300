import type { JobInfo } from './answers.js';
import { canonical, sha256 } from './bytes.js';
import { BatchLab, type ClientOptions } from './client.js';
import type { JobDocument } from './document.js';
import { BatchLabError, DocumentError, SettingsError } from './errors.js';
import { itemsOf, keepList, linesOf, noPlace, type ListPlace, type Manifest, type Photo } from './photos.js';
import { send, type Fetch } from './send.js';
import { accessOf, bucketOf, needed, ownEnv, variables, type Access, type Env, type Variables } from './settings.js';

/** What a document may say beside its photos; docs/documents.md. */
export type SubmitOptions = Partial<Omit<JobDocument, 'type'>> & {
  /** The ZIP's file name; when absent, made of the event's id. */
  name?: string;
  /** Two calls with one key are one job; when absent, a digest of event, photos and options. */
  idempotencyKey?: string;
};

export interface Submitted {
  mode: Access;
  /** Of the job (url), of the message (sqs) or of the job in AWS Batch (batch). */
  id: string;
  /** The job itself, by url. */
  job?: JobInfo;
}

/** The longest document that each way takes, in bytes, and its name in messages. */
const LONGEST: Record<Access, [number, string]> = {
  url: [4_000_000, 'the endpoint'], // a Lambda function URL takes 6 MB. Source: AWS Lambda, "Quotas"
  sqs: [1024 * 1024, 'a message of SQS'], // Source: Amazon SQS Developer Guide, "Message quotas"
  batch: [25_000, 'SubmitJob (worker_access sqs takes more)'], // SubmitJob takes 30 KiB in all
};
const ALL_ELSE = 2_000; // bytes of a document beside its photos
const MOST_ITEMS = 100_000; // in one document, see batchlab/jobs/zip_export.py
const LISTS = 'lists'; // where in the bucket long lists lie

/** Photos of an event into one ZIP, by whatever way the Worker was given. */
export class AWSBatchIntegration {
  readonly #env: Env | undefined;
  readonly #options: ClientOptions;
  readonly #jobs: BatchLab;

  /** Without `env`, the Worker's own environment is read. */
  constructor(env?: Env, options: ClientOptions = {}) {
    this.#env = env;
    this.#options = options;
    this.#jobs = new BatchLab(env, options);
  }

  /** The same photos of the same event are one job, however often this is called (by url and sqs). */
  async submitPhotoProcessingJob(eventId: string | number, photos: readonly Photo[], options: SubmitOptions = {}): Promise<Submitted> {
    if (eventId === undefined || eventId === null || eventId === '') {
      throw new DocumentError(['submitPhotoProcessingJob: eventId is missing.']);
    }
    const event = String(eventId);
    const items = itemsOf(event, photos ?? []);
    const [env, found] = await this.#surroundings();
    const { name, idempotencyKey, params, ...fields } = options;
    const output = fields.output ?? outputOf(found);
    const document: JobDocument = {
      type: 'zip-export',
      title: event,
      ...fields,
      ...(output === undefined ? {} : { output }),
      params: { items: await this.#listed(items, env, found), name: name ?? `${slug(event)}.zip`, ...params },
    };
    document.idempotency_key = idempotencyKey ?? fields.idempotency_key ?? (await keyOf(event, document));
    return this.submit(document);
  }

  /** Any job document. */
  async submit(document: JobDocument): Promise<Submitted> {
    const [, found] = await this.#surroundings();
    const mode = accessOf(found);
    const fetcher: Fetch = this.#options.fetch ?? ((request) => fetch(request));
    switch (mode) {
      case 'url': {
        const job = await this.#jobs.submit(document);
        return { mode, id: job.id, job };
      }
      case 'sqs':
        return { mode, id: await sendMessage(found, document, fetcher) };
      case 'batch':
        return { mode, id: await submitJob(found, document, fetcher) };
    }
  }

  /** Where a job of `url` stands. */
  async get(id: string): Promise<JobInfo> {
    return (await this.#byUrl()).get(id);
  }

  /** A job of `url` is asked to stop. */
  async cancel(id: string): Promise<JobInfo> {
    return (await this.#byUrl()).cancel(id);
  }

  /** The photos themselves, or where their list lies when no way out of the Worker takes so many. */
  async #listed(items: Photo[], env: Env, found: Variables): Promise<(Photo | Manifest)[]> {
    const [most, way] = LONGEST[accessOf(found)];
    const lines = linesOf(items);
    const bytes = lines.byteLength + ALL_ELSE;
    if (bytes <= most && items.length <= MOST_ITEMS) return items;
    const place = listPlace(env, found);
    if (place === null) throw noPlace(bytes, most, way);
    return [await keepList(lines, items.length, place)];
  }

  async #byUrl(): Promise<BatchLab> {
    const [, found] = await this.#surroundings();
    const mode = accessOf(found);
    if (mode === 'url') return this.#jobs;
    throw new SettingsError(`The Worker may only submit (worker_access ${mode}): deploy with --set worker_access=url to follow jobs.`);
  }

  async #surroundings(): Promise<[Env, Variables]> {
    const env = this.#env ?? (await ownEnv());
    return [env, variables(env, this.#options.variables)];
  }
}

/** The same for the same photos of the same event with the same options. */
async function keyOf(event: string, document: JobDocument): Promise<string> {
  return `photos-${slug(event)}-${(await sha256(canonical(document))).slice(0, 32)}`;
}

function outputOf(found: Variables): string | undefined {
  return found.BATCHLAB_OUTPUT ?? (found.R2_BUCKET ? `r2://${found.R2_BUCKET}/exports` : undefined);
}

function listPlace(env: Env, found: Variables): ListPlace | null {
  const bucket = bucketOf(env);
  return bucket && found.R2_BUCKET ? { bucket, bucketName: found.R2_BUCKET, prefix: LISTS } : null;
}

async function sendMessage(found: Variables, document: JobDocument, fetcher: Fetch): Promise<string> {
  const queue = needed(found, 'BATCH_SQS_QUEUE_URL');
  const body = JSON.stringify({ QueueUrl: queue, MessageBody: checked(document, 'sqs') });
  const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'AmazonSQS.SendMessage' };
  const url = new URL('/', queue);
  // a message that comes twice is one job, by its key
  const answer = await send(found, { service: 'sqs', method: 'POST', url, body, headers, repeatable: true }, fetcher);
  return (await said<{ MessageId: string }>(answer, 'SQS')).MessageId;
}

async function submitJob(found: Variables, document: JobDocument, fetcher: Fetch): Promise<string> {
  const endpoint = found.BATCH_ENDPOINT ?? `https://batch.${found.BATCH_AWS_REGION ?? 'us-east-1'}.amazonaws.com`;
  const body = JSON.stringify({
    jobName: slug(document.title || document.type),
    jobQueue: needed(found, 'BATCH_JOB_QUEUE_ARN'),
    jobDefinition: needed(found, 'BATCH_JOB_DEFINITION_ARN'),
    parameters: { job: checked(document, 'batch') },
  });
  const url = new URL('/v1/submitjob', endpoint);
  // SubmitJob takes no idempotency token: a lost answer may be a started job
  const answer = await send(found, { service: 'batch', method: 'POST', url, body, repeatable: false }, fetcher);
  return (await said<{ jobId: string }>(answer, 'AWS Batch')).jobId;
}

function checked(document: JobDocument, access: Access): string {
  const text = JSON.stringify(document);
  const [most, way] = LONGEST[access];
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > most) throw new DocumentError([`${bytes} bytes are too many for ${way}: put the list into a manifest.`]);
  return text;
}

async function said<T>(answer: Response, who: string): Promise<T> {
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text) as T;
  throw new BatchLabError(`${who} answered ${answer.status}: ${text.slice(0, 300)} (are the Worker's keys those of its worker_access?)`, answer.status);
}

/** What AWS Batch takes as a name, and every system as the name of a file. */
function slug(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]+/g, '-').replace(/^-+/, '').slice(0, 100) || 'job';
}
