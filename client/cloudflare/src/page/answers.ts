import { names } from './ranges.js';

/** What every answer under /s and /d says. Source: docs/customer-page.md, "Serving pages". */
const ALWAYS = {
  'x-robots-tag': 'noindex, nofollow',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; sandbox",
  'cache-control': 'private, no-store',
};

/** An answer with the headers that all of them have. */
export function answer(body: BodyInit | null, status: number, headers: Record<string, string>): Response {
  return new Response(body, { status, headers: { ...ALWAYS, ...headers } });
}

/** What the service wrote, whole, or 304 without it when the reader has this version. */
export function kept(request: Request, body: string, etag: string, headers: Record<string, string>): Response {
  const about = { ...headers, etag, 'cache-control': 'private, no-cache' };
  const unchanged = names(request.headers.get('if-none-match') ?? '', etag);
  return unchanged ? answer(null, 304, about) : answer(body, 200, about);
}

/** A page of the service goes under the policy that stands in it: it may be older than this program. */
export function pageHeaders(html: string): Record<string, string> {
  const own = /<meta http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)?.[1] ?? "default-src 'none'";
  return { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': `${own}; frame-ancestors 'none'` };
}

/** A few words of our own, where no page of the job's is to be shown. */
export function words(status: number, text: string, headers: Record<string, string> = {}): Response {
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${text}</title><p>${text}</p></html>\n`;
  return answer(html, status, { 'content-type': 'text/html; charset=utf-8', ...headers });
}

export function nothingHere(): Response {
  return words(404, 'There is nothing at this address. Is the link complete?');
}
