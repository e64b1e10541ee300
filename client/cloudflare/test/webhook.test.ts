import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';

import { unwrapWebhook, WebhookError } from '../src/index.js';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const OTHER = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD';
const BODY = JSON.stringify({ type: 'job.succeeded', timestamp: '2026-11-26T12:00:00Z', data: { id: 'j', state: 'succeeded' } });

interface Changes {
  secret?: string;
  at?: Date;
  body?: string;
  headers?: Record<string, string>;
}

/** Signed by the reference implementation. */
function request(changes: Changes = {}): Request {
  const at = changes.at ?? new Date();
  const headers = {
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(changes.secret ?? SECRET).sign('msg_1', at, BODY),
    ...changes.headers,
  };
  return new Request('https://shop.example/webhook', { method: 'POST', headers, body: changes.body ?? BODY });
}

async function refused(changes: Changes, secrets: string | string[] = SECRET): Promise<WebhookError> {
  const error: unknown = await unwrapWebhook(request(changes), secrets).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(WebhookError);
  return error as WebhookError;
}

describe('unwrapWebhook', () => {
  it('gives what was told, with the id by which a repetition is known', async () => {
    const event = await unwrapWebhook(request(), SECRET);
    expect(event).toMatchObject({ id: 'msg_1', type: 'job.succeeded', data: { id: 'j', state: 'succeeded' } });
  });

  it('takes any of several secrets, and any of several signatures', async () => {
    expect((await unwrapWebhook(request(), [OTHER, SECRET])).id).toBe('msg_1');
    const at = new Date();
    const signatures = [OTHER, SECRET].map((secret) => new Webhook(secret).sign('msg_1', at, BODY));
    const headers = { 'webhook-signature': `v1a,ignored ${signatures.join(' ')}` };
    expect((await unwrapWebhook(request({ at, headers }), SECRET)).id).toBe('msg_1');
  });

  it('refuses another secret, another body, another id', async () => {
    expect((await refused({ secret: OTHER })).status).toBe(401);
    expect((await refused({ body: BODY.replace('succeeded', 'failed') })).status).toBe(401);
    expect((await refused({ headers: { 'webhook-id': 'msg_2' } })).status).toBe(401);
    expect((await refused({ headers: { 'webhook-signature': 'v1,!!!' } })).message).toContain('is the secret the one');
  });

  it('refuses what was signed more than five minutes ago, or ahead', async () => {
    const minutes = (count: number): Date => new Date(Date.now() + count * 60_000);
    expect((await unwrapWebhook(request({ at: minutes(-4.9) }), SECRET)).id).toBe('msg_1');
    expect((await refused({ at: minutes(-5.1) })).message).toContain('5 minutes');
    expect((await refused({ at: minutes(5.1) })).status).toBe(401);
    expect((await refused({ headers: { 'webhook-timestamp': 'soon' } })).status).toBe(401);
  });

  it('refuses what is no webhook at all before it reads the body', async () => {
    const plain = new Request('https://shop.example/webhook', { method: 'POST', body: BODY });
    await expect(unwrapWebhook(plain, SECRET)).rejects.toMatchObject({ status: 400 });
    expect(plain.bodyUsed).toBe(false);
    expect((await refused({ body: 'x'.repeat(300 * 1024) })).status).toBe(413);
  });

  it('says so when the secret is none', async () => {
    expect((await refused({}, 'whsec_&&')).message).toContain('not base64');
    expect((await refused({}, '')).status).toBe(500);
    expect((await refused({}, [])).message).toContain('no webhook secret');
    const unset = undefined as unknown as string; // an environment without the variable
    await expect(unwrapWebhook(request(), unset)).rejects.toMatchObject({ status: 500 });
  });

  it('takes secrets with spaces between them wherever they stand', async () => {
    expect((await unwrapWebhook(request(), [`${OTHER} ${SECRET}`])).id).toBe('msg_1');
    expect((await unwrapWebhook(request(), ` ${OTHER}  ${SECRET}\n`)).id).toBe('msg_1');
  });

  it('refuses an event without data, though it is signed', async () => {
    const body = '{"type": "job.succeeded", "data": null}';
    const at = new Date();
    const headers = { 'webhook-signature': new Webhook(SECRET).sign('msg_1', at, body) };
    expect((await refused({ at, body, headers })).status).toBe(400);
  });
});
