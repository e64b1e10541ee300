import type { Counts, State } from './answers.js';
import { concatenated } from './bytes.js';
import { WebhookError } from './errors.js';

/** One webhook; they come at least once and in any order. The same names as batchlab/webhooks.py. */
export interface WebhookEvent {
  /** The same for all tries and repetitions of one notification. */
  id: string;
  type: 'job.succeeded' | 'job.partial' | 'job.failed' | 'job.cancelled' | 'job.expired';
  /** When it happened, not when it was sent. */
  timestamp: string;
  data: EventData;
}

/** The job at the end that is told of; it is thin, so that the job is asked for what it does not say. */
export interface EventData {
  id: string;
  type: string;
  title: string;
  state: State;
  /** Counts up with each retry. */
  generation: number;
  counts: Counts;
  tags: Record<string, string>;
  /** The customer's page. */
  page: string | null;
  /** Until then its links work. */
  expires_at: string | null;
  /** One plain sentence, in English. */
  message: string;
}

const TOLERANCE_SECONDS = 5 * 60; // Source: Standard Webhooks, "Verifying signatures"
const LONGEST_BODY = 256 * 1024; // bytes; ours are under 2 kB

/**
 * What `request` tells, once its signature is known to be ours; the body is read here, and only once.
 * `secrets` is one secret (whsec_...) or several, while one replaces another, as a list or separated by spaces. Throws WebhookError.
 * Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export async function unwrapWebhook(request: Request, secrets: string | readonly string[], now: number = Date.now()): Promise<WebhookEvent> {
  const id = request.headers.get('webhook-id');
  const timestamp = request.headers.get('webhook-timestamp');
  const signatures = request.headers.get('webhook-signature');
  if (!id || !timestamp || !signatures) {
    throw new WebhookError('This is no webhook: webhook-id, webhook-timestamp and webhook-signature are needed.', 400);
  }
  const sentAt = /^\d{1,12}$/.test(timestamp) ? Number(timestamp) : NaN;
  if (!(Math.abs(now / 1000 - sentAt) <= TOLERANCE_SECONDS)) {
    throw new WebhookError('The webhook was signed more than 5 minutes from now: is one of the clocks wrong?', 401);
  }
  const body = await bodyOf(request);
  const signed = concatenated([new TextEncoder().encode(`${id}.${timestamp}.`), body]);
  const keys = secretsIn(secrets).map(secretBytes);
  if (!(await anyMatches(keys, signed, signatures))) {
    throw new WebhookError('The signature is not ours: is the secret the one that the service signs with?', 401);
  }
  return { ...parsed(body), id };
}

async function anyMatches(keys: Uint8Array<ArrayBuffer>[], signed: Uint8Array<ArrayBuffer>, header: string): Promise<boolean> {
  const given = header.split(' ').filter((part) => part.startsWith('v1,')).slice(0, 10);
  for (const secret of keys) {
    const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
    for (const part of given) {
      const signature = base64(part.slice(3));
      // verify compares in constant time
      if (signature !== null && (await crypto.subtle.verify('HMAC', key, signature, signed))) return true;
    }
  }
  return false;
}

async function bodyOf(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body ?? []) {
    length += part.byteLength;
    if (length > LONGEST_BODY) throw new WebhookError('The webhook is too long to be one of ours.', 413);
    parts.push(part);
  }
  return concatenated(parts);
}

function parsed(body: Uint8Array): Omit<WebhookEvent, 'id'> {
  try {
    const found = JSON.parse(new TextDecoder().decode(body)) as Partial<WebhookEvent> | null;
    if (typeof found?.type === 'string' && typeof found.data === 'object' && found.data !== null) return found as Omit<WebhookEvent, 'id'>;
  } catch {
    // told below
  }
  throw new WebhookError('The webhook is signed, and its body is no event: is the sender newer than this package?', 400);
}

/** An environment without the variable gives undefined, whatever its type says. */
function secretsIn(secrets: string | readonly string[] | undefined): string[] {
  const texts = typeof secrets === 'string' ? [secrets] : (secrets ?? []);
  const found = texts.flatMap((text) => text.trim().split(/\s+/)).filter((text) => text !== '');
  if (found.length === 0) {
    throw new WebhookError('There is no webhook secret: wrangler secret put BATCHLAB_WEBHOOK_SECRET sets the one of the service.', 500);
  }
  return found;
}

function secretBytes(secret: string): Uint8Array<ArrayBuffer> {
  const bytes = base64(secret.replace(/^whsec_/, ''));
  if (bytes === null || bytes.length === 0) {
    throw new WebhookError('The webhook secret is not base64 behind whsec_: copy it from the settings of the service.', 500);
  }
  return bytes;
}

function base64(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
}
