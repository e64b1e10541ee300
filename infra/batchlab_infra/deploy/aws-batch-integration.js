// Written by ./deploy.sh of batchlab, which writes it again: change nothing here.
//
//   import { AWSBatchIntegration } from './aws-batch-integration.js';
//   const batch = new AWSBatchIntegration(env);
//   const result = await batch.submitPhotoProcessingJob(eventId, photos);
//
// `photos` is a list of URLs or {url, name?, id?, size?, takenAt?}. The Worker needs `npm install aws4fetch`, and of
// env BATCH_AWS_ACCESS_KEY and BATCH_AWS_SECRET_KEY; what else it finds there stands before what was deployed.
import { AwsClient } from 'aws4fetch';

const DEPLOYED = {};
const LONGEST_MESSAGE = 1024 * 1024; // bytes; Source: Amazon SQS Developer Guide, "Message quotas"
const LONGEST_PARAMETERS = 25_000; // bytes; SubmitJob takes 30 KiB in all

export class AWSBatchIntegration {
  constructor(env) {
    this.env = env;
  }

  /** Resolves to {mode, id}: of the message (sqs), of AWS Batch's job (batch) or of the job (url). Rejects with a cure. */
  async submitPhotoProcessingJob(eventId, photos, options = {}) {
    if (!eventId) throw new Error('submitPhotoProcessingJob: eventId is missing.');
    if (!photos?.length) throw new Error(`submitPhotoProcessingJob: event ${eventId} has no photos.`);
    const { name, ...more } = options;
    const document = {
      type: 'zip-export',
      title: String(eventId),
      output: DEPLOYED.output,
      ...more,
      params: { items: photos, name: name ?? `${slug(eventId)}.zip`, ...options.params },
    };
    // The same photos of the same event are one job, however often this is called.
    document.idempotency_key ??= `photos-${slug(eventId)}-${await sha256(JSON.stringify(document))}`;
    return this.submit(document);
  }

  /** Any job document. */
  async submit(document) {
    const settings = await this.#settings();
    const way = { sqs: sendMessage, batch: submitJob, url: post }[settings.access];
    if (!way) throw new Error(`worker_access is ${settings.access}: deploy with --set worker_access=sqs.`);
    const client = new AwsClient({
      accessKeyId: needed(settings, 'BATCH_AWS_ACCESS_KEY'),
      secretAccessKey: needed(settings, 'BATCH_AWS_SECRET_KEY'),
      region: needed(settings, 'BATCH_AWS_REGION'),
      retries: 3,
    });
    return { mode: settings.access, id: await way(client, settings, document) };
  }

  async #settings() {
    const env = this.env ?? (await import('cloudflare:workers')).env; // the old call, without arguments
    const given = Object.entries(env).filter(([name, value]) => name.startsWith('BATCH') && value);
    return { ...DEPLOYED, ...Object.fromEntries(given) };
  }
}

async function sendMessage(client, settings, document) {
  const body = JSON.stringify(document);
  limit(body, LONGEST_MESSAGE, 'a message of SQS');
  const url = needed(settings, 'BATCH_SQS_QUEUE_URL');
  const answer = await json(client, new URL('/', url), 'sqs', { QueueUrl: url, MessageBody: body }, {
    'content-type': 'application/x-amz-json-1.0',
    'x-amz-target': 'AmazonSQS.SendMessage',
  });
  return answer.MessageId;
}

async function submitJob(client, settings, document) {
  const job = JSON.stringify(document);
  limit(job, LONGEST_PARAMETERS, 'SubmitJob (worker_access sqs takes more)');
  const endpoint = settings.BATCH_ENDPOINT ?? `https://batch.${settings.BATCH_AWS_REGION}.amazonaws.com`;
  const answer = await json(client, `${endpoint}/v1/submitjob`, 'batch', {
    jobName: slug(document.title || document.type),
    jobQueue: needed(settings, 'BATCH_JOB_QUEUE_ARN'),
    jobDefinition: needed(settings, 'BATCH_JOB_DEFINITION_ARN'),
    parameters: { job },
  });
  return answer.jobId;
}

async function post(client, settings, document) {
  const url = new URL('/v1/jobs', needed(settings, 'BATCHLAB_URL'));
  const headers = { 'idempotency-key': document.idempotency_key ?? crypto.randomUUID() };
  return (await json(client, url, 'lambda', document, headers)).id;
}

async function json(client, url, service, body, headers = {}) {
  const answer = await client.fetch(url, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
    aws: { service },
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${service} answered ${answer.status}: ${text.slice(0, 300)}`);
  return JSON.parse(text);
}

function needed(settings, name) {
  if (!settings[name]) throw new Error(`${name} is not set in the Worker; ./deploy.sh prints it.`);
  return settings[name];
}

function limit(text, most, where) {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > most) throw new Error(`${bytes} bytes are too many for ${where}: put the list into a manifest.`);
}

function slug(text) {
  return String(text).replace(/[^A-Za-z0-9_-]+/g, '-').replace(/^-+/, '').slice(0, 100) || 'job';
}

async function sha256(text) {
  const found = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return [...new Uint8Array(found)].slice(0, 16).map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
