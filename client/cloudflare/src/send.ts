import { AwsClient } from 'aws4fetch';

import { ServiceError } from './errors.js';
import { needed, type Variables } from './settings.js';

/** The parts of AWS that a Worker speaks to. */
export type Service = 'lambda' | 'sqs' | 'batch';

export interface Outgoing {
  service: Service;
  method: 'GET' | 'POST';
  url: URL;
  body?: string;
  headers?: Record<string, string>;
  /** Whether an answer that never came may be asked for again. */
  repeatable: boolean;
}

export type Fetch = (request: Request) => Promise<Response>;

const RETRIES = 3; // aws4fetch's own ten would outlive the customer's patience
const TIMEOUT_MS = 30_000; // of one try; a Lambda behind its URL answers or is cut off by then
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000; // beyond it the caller hears `retryAfter`, for a Worker is paid to wait

/**
 * The answer to a signed request, whatever its status. Tries again after 409 (the same key is being worked on), 429
 * and 5xx, and after no answer at all where that is harmless. Throws ServiceError when no answer comes.
 */
export async function send(found: Variables, outgoing: Outgoing, fetcher: Fetch): Promise<Response> {
  for (let tried = 0; ; tried++) {
    const last = tried === RETRIES;
    const request = await signed(found, outgoing);
    let answer: Response | null = null;
    let reason = '';
    try {
      answer = await fetcher(request);
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    if (answer === null && (last || !outgoing.repeatable)) {
      throw new ServiceError(`${outgoing.url.host} did not answer: ${reason}. Try again.`);
    }
    if (answer !== null && (last || !passing(answer.status, outgoing.repeatable))) return answer;
    const asked = retryAfter(answer);
    if (answer !== null && asked !== null && asked * 1000 > LONGEST_PAUSE_MS) return answer;
    await answer?.body?.cancel(); // Workers have six connections
    const growing = FIRST_PAUSE_MS * 2 ** tried * (0.5 + Math.random());
    await new Promise((done) => setTimeout(done, Math.max((asked ?? 0) * 1000, growing)));
  }
}

/** The seconds that Retry-After names, or null. */
export function retryAfter(answer: Response | null): number | null {
  const seconds = Number(answer?.headers.get('retry-after') ?? NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}

function passing(status: number, repeatable: boolean): boolean {
  return status === 429 || (repeatable && (status === 409 || status >= 500));
}

async function signed(found: Variables, outgoing: Outgoing): Promise<Request> {
  const { service, method, url, body } = outgoing;
  const headers = { 'content-type': 'application/json', accept: 'application/json', ...outgoing.headers };
  // A signature is for one host: following a redirect would hand the document to another.
  const init = { method, headers, redirect: 'manual' as const, signal: AbortSignal.timeout(TIMEOUT_MS), ...(body === undefined ? {} : { body }) };
  if (service === 'lambda' && found.BATCHLAB_TOKEN) {
    return new Request(url, { ...init, headers: { ...headers, authorization: `Bearer ${found.BATCHLAB_TOKEN}` } });
  }
  const client = new AwsClient({
    accessKeyId: needed(found, 'BATCH_AWS_ACCESS_KEY'),
    secretAccessKey: needed(found, 'BATCH_AWS_SECRET_KEY'),
    region: regionOf(url) ?? found.BATCH_AWS_REGION ?? 'us-east-1',
    service,
  });
  return client.sign(url, init);
}

/** An address of AWS says where it is: https://<id>.lambda-url.eu-central-1.on.aws, sqs.eu-central-1.amazonaws.com. */
function regionOf(url: URL): string | undefined {
  return /(?:\.lambda-url|^sqs|^batch)\.([a-z0-9-]+)\.(?:on\.aws|amazonaws\.com)$/.exec(url.hostname)?.[1];
}
