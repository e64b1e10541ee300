/** A shop's Worker: an event's photos become a ZIP, and the customer gets it under the shop's own domain. */
import { AWSBatchIntegration, BatchLab, BatchLabError, DocumentError, NotFound, servePage, unwrapWebhook, type Photo, type WebhookEvent } from 'batchlab';

export interface ShopEnv {
  BATCHLAB_BUCKET: R2Bucket;
  BATCHLAB_WEBHOOK_SECRET: string;
  EXPORT_TOKEN: string;
}

export default {
  async fetch(request: Request, env: ShopEnv): Promise<Response> {
    try {
      return (await servePage(request, env)) ?? (await answer(request, env));
    } catch (error) {
      if (!(error instanceof BatchLabError)) throw error;
      return Response.json({ error: error.message }, { status: statusOf(error) });
    }
  },
} satisfies ExportedHandler<ShopEnv>;

async function answer(request: Request, env: ShopEnv): Promise<Response> {
  const { pathname, origin } = new URL(request.url);
  const event = /^\/events\/([\w-]{1,64})\/export$/.exec(pathname)?.[1];
  if (event && request.method === 'POST') {
    if (!(await known(request, env))) return Response.json({ error: 'Who are you?' }, { status: 401 });
    const { photos } = await request.json<{ photos: Photo[] }>();
    const options = { expires: '7d', tags: { event }, notify: [{ webhook: `${origin}/webhook` }] };
    const { id, job } = await new AWSBatchIntegration(env).submitPhotoProcessingJob(event, photos, options);
    return Response.json({ id, state: job?.state, page: job?.page }, { status: 202 });
  }
  const job = /^\/exports\/([0-9a-z]{26})$/.exec(pathname)?.[1];
  if (job && request.method === 'GET') {
    if (!(await known(request, env))) return Response.json({ error: 'Who are you?' }, { status: 401 });
    const { state, counts, page } = await new BatchLab(env).get(job);
    return Response.json({ state, counts, page, told: await told(env, job) });
  }
  if (pathname === '/webhook' && request.method === 'POST') {
    await keep(env, await unwrapWebhook(request, env.BATCHLAB_WEBHOOK_SECRET));
    return new Response(null, { status: 204 });
  }
  return new Response('There is nothing here.\n', { status: 404 });
}

/** The last end that was told; a webhook that comes twice or late changes nothing. */
async function keep(env: ShopEnv, event: WebhookEvent): Promise<void> {
  const earlier = await told(env, event.data.id);
  const age = earlier ? earlier.data.generation - event.data.generation : -1;
  if (earlier && (age > 0 || (age === 0 && earlier.timestamp >= event.timestamp))) return;
  await env.BATCHLAB_BUCKET.put(toldKey(event.data.id), JSON.stringify(event));
}

async function told(env: ShopEnv, job: string): Promise<WebhookEvent | null> {
  return (await (await env.BATCHLAB_BUCKET.get(toldKey(job)))?.json<WebhookEvent>()) ?? null;
}

function toldKey(job: string): string {
  return `told/${job}.json`;
}

async function known(request: Request, env: ShopEnv): Promise<boolean> {
  const [shown, expected] = await Promise.all(
    [request.headers.get('authorization') ?? '', `Bearer ${env.EXPORT_TOKEN}`].map((text) =>
      crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)),
    ),
  );
  return Boolean(env.EXPORT_TOKEN) && crypto.subtle.timingSafeEqual(shown!, expected!);
}

function statusOf(error: BatchLabError): number {
  if (error instanceof DocumentError) return 422;
  if (error instanceof NotFound) return 404;
  return error.name === 'WebhookError' ? error.status : 502;
}
