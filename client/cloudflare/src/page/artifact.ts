import type { Bucket } from '../settings.js';
import { answer, nothingHere, words } from './answers.js';
import { answerTo } from './ranges.js';

/** One file of link.json. */
export interface Artifact {
  number: number;
  name: string;
  /** Where it lies, such as r2://bucket/key, percent-encoded. */
  url: string;
  size_bytes: number;
  content_type: string;
}

/**
 * The file's bytes, straight from its bucket, or the part that was asked for. `buckets` are the bound ones by name; a
 * file that lies elsewhere is refused with 403.
 */
export async function artifact(request: Request, found: Artifact, buckets: ReadonlyMap<string, Bucket>): Promise<Response> {
  const [bucketName, key] = placeOf(found.url);
  const bucket = buckets.get(bucketName);
  if (bucket === undefined) return words(403, 'This file is kept where it cannot be handed out from here.');
  const head = await bucket.head(key);
  if (head === null) return nothingHere();
  const version = { etag: head.httpEtag, size: head.size, uploaded: head.uploaded };
  const about = {
    etag: version.etag,
    'last-modified': version.uploaded.toUTCString(),
    'accept-ranges': 'bytes',
  };
  const asked = answerTo(request.headers, version);
  if (asked === 'unchanged') return answer(null, 304, about);
  if (asked === 'failed') return words(412, 'The file is another by now.', about);
  if (asked === 'unsatisfiable') return words(416, 'The file is not that long.', { ...about, 'content-range': `bytes */${version.size}` });
  const part = asked === 'whole' || request.method === 'HEAD' ? { offset: 0, length: version.size } : asked;
  const partial = asked !== 'whole' && request.method !== 'HEAD';
  const headers = {
    ...about,
    'content-type': found.content_type || 'application/octet-stream',
    'content-disposition': disposition(found.name),
    'content-length': String(part.length),
    ...(partial ? { 'content-range': `bytes ${part.offset}-${part.offset + part.length - 1}/${version.size}` } : {}),
  };
  if (request.method === 'HEAD' || version.size === 0) return answer(null, 200, headers);
  // Only the version whose length and ETag were just told: a retry may put another file there at any moment.
  const object = await bucket.get(key, { range: part, onlyIf: { etagMatches: head.etag } });
  if (object === null || !('body' in object)) return words(503, 'The file is just being replaced. Try again.', { 'retry-after': '1' });
  return answer(object.body, partial ? 206 : 200, headers);
}

/** The bucket and the key of an r2:// URL; ["", ""] for any other. */
function placeOf(url: string): [string, string] {
  const [, bucket, path] = /^r2:\/\/([a-z0-9._-]+)\/([^?#]+)$/.exec(url) ?? [];
  try {
    return bucket === undefined || path === undefined ? ['', ''] : [bucket, decodeURIComponent(path)];
  } catch {
    return ['', ''];
  }
}

/** Saved under its own name. Source: RFC 6266, with the name in ASCII for what is older. */
function disposition(name: string): string {
  const ascii = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(name.replace(/\p{Surrogate}/gu, '_')).replace(/['()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
