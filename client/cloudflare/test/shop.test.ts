import { env, exports } from 'cloudflare:workers';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';

const JOB = '01k0000000000000000000000a';

async function told(generation: number, timestamp: string, state: string, secret = env.BATCHLAB_WEBHOOK_SECRET): Promise<number> {
  const at = new Date();
  const body = JSON.stringify({ type: `job.${state}`, timestamp, data: { id: JOB, state, generation } });
  const headers = { 'webhook-id': `m${generation}`, 'webhook-timestamp': String(Math.floor(at.getTime() / 1000)), 'webhook-signature': new Webhook(secret).sign(`m${generation}`, at, body) };
  return (await exports.default.fetch(new Request('https://shop.example/webhook', { method: 'POST', headers, body }))).status;
}

async function stateKept(): Promise<string> {
  const kept = await env.BATCHLAB_BUCKET.get(`told/${JOB}.json`);
  return ((await kept!.json()) as { data: { state: string } }).data.state;
}

describe('the example Worker', () => {
  it('keeps the last end that it was told, whatever the order', async () => {
    expect(await told(1, '2026-11-26T12:00:00Z', 'partial')).toBe(204);
    expect(await stateKept()).toBe('partial');
    expect(await told(2, '2026-11-26T13:00:00Z', 'succeeded')).toBe(204);
    expect(await told(1, '2026-11-26T12:00:00Z', 'partial')).toBe(204);
    expect(await stateKept()).toBe('succeeded');
    expect(await told(2, '2026-12-26T13:00:00Z', 'expired')).toBe(204);
    expect(await stateKept()).toBe('expired');
  });

  it('keeps nothing that somebody else signed', async () => {
    expect(await told(9, '2027-01-01T00:00:00Z', 'failed', 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD')).toBe(401);
    expect(await stateKept().catch(() => 'nothing')).not.toBe('failed');
  });

  it('submits for its own site only', async () => {
    const asked = (headers: Record<string, string>): Promise<Response> =>
      exports.default.fetch(new Request('https://shop.example/events/17/export', { method: 'POST', headers, body: '{"photos": []}' }));
    expect((await asked({})).status).toBe(401);
    expect((await asked({ authorization: 'Bearer somebody' })).status).toBe(401);
    const known = await asked({ authorization: 'Bearer the-shop' });
    expect([known.status, await known.json()]).toEqual([422, { error: 'submitPhotoProcessingJob: event 17 has no photos.' }]);
    expect((await exports.default.fetch(new Request('https://shop.example/sale'))).status).toBe(404);
  });
});
