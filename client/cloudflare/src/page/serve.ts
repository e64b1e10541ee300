import { SettingsError } from '../errors.js';
import { bucketOf, variables, type Bucket, type Env } from '../settings.js';
import { answer, kept, nothingHere, pageHeaders, words } from './answers.js';
import { artifact, type Artifact } from './artifact.js';
import { asked, type Asked } from './paths.js';

export interface PageOptions {
  /** Bound buckets by their own names; when absent, BATCHLAB_BUCKET, which is called R2_BUCKET. */
  buckets?: Record<string, Bucket>;
  /** Where the service writes pages, such as r2://bucket/prefix; when absent, BATCHLAB_PAGES_ROOT. */
  pagesRoot?: string;
  /** Milliseconds since 1970. */
  now?: number;
}

/** link.json: where the files lie, and until when they may be handed out. */
interface Link {
  expires_at: string | null;
  artifacts: Artifact[];
}

/**
 * The answer to a request under /s or /d, straight from R2 (docs/customer-page.md); null for every other path, which is
 * the Worker's own. Nothing is changed by any request. Throws SettingsError when a bucket is not bound.
 */
export async function servePage(request: Request, env: Env, options: PageOptions = {}): Promise<Response | null> {
  const wanted = asked(new URL(request.url).pathname);
  if (wanted === null) return null;
  if (request.method !== 'GET' && request.method !== 'HEAD') return words(405, 'Only GET and HEAD are answered here.', { allow: 'GET, HEAD' });
  if (wanted.what === 'nothing') return nothingHere();
  const buckets = bucketsOf(env, options);
  const pages = new Pages(buckets, options.pagesRoot ?? rootOf(env), wanted.token);
  const now = options.now ?? Date.now();
  let found: Response;
  try {
    found = await answered(request, wanted, pages, now, buckets);
  } catch (error) {
    // The address holds the token, and a parser's words quote what lies there: both stay out of the log.
    console.error(`A customer's page could not be served: ${error instanceof SyntaxError ? 'it is no JSON' : String(error)}`);
    found = words(503, 'This cannot be shown just now. Please try again in a minute.', { 'retry-after': '60' });
  }
  return request.method === 'HEAD' ? new Response(null, found) : found;
}

async function answered(request: Request, wanted: Wanted, pages: Pages, now: number, buckets: ReadonlyMap<string, Bucket>): Promise<Response> {
  switch (wanted.what) {
    case 'page':
      return thePage(request, pages, now);
    case 'status':
      return theStatus(request, pages, now);
    case 'download':
      return theDownload(request, pages, now, wanted.file, buckets);
  }
}

async function thePage(request: Request, pages: Pages, now: number): Promise<Response> {
  const status = await pages.read('status.json');
  return status !== null && isOver(JSON.parse(status.text) as Ending, now) ? pages.gone() : pages.shown(request);
}

async function theStatus(request: Request, pages: Pages, now: number): Promise<Response> {
  const status = await pages.read('status.json');
  if (status === null) return nothingHere();
  const headers = { 'content-type': 'application/json' };
  if (isOver(JSON.parse(status.text) as Ending, now)) {
    return answer(JSON.stringify({ version: 1, state: 'expired' }), 410, headers);
  }
  return kept(request, status.text, status.etag, headers);
}

async function theDownload(request: Request, pages: Pages, now: number, file: string | null, buckets: ReadonlyMap<string, Bucket>): Promise<Response> {
  const stored = await pages.read('link.json');
  if (stored === null) return file === null ? pages.shown(request) : nothingHere();
  const link = JSON.parse(stored.text) as Link;
  if (isOver(link, now) || link.artifacts.length === 0) return pages.gone();
  if (file === null && link.artifacts.length > 1) return pages.shown(request);
  const found = file === null ? link.artifacts[0] : link.artifacts.find(({ number, name }) => file === String(number) || file === name);
  return found === undefined ? nothingHere() : artifact(request, found, buckets);
}

type Wanted = Exclude<Asked, { what: 'nothing' }>;

interface Ending {
  state?: string;
  expires_at: string | null;
}

function isOver({ state, expires_at }: Ending, now: number): boolean {
  return state === 'expired' || (expires_at !== null && !(Date.parse(expires_at) > now));
}

/** The objects pages/<token>/ of one job. */
class Pages {
  readonly #bucket: Bucket;
  readonly #folder: string;

  constructor(buckets: ReadonlyMap<string, Bucket>, root: string, token: string) {
    const [, name = '', prefix = ''] = /^r2:\/\/([a-z0-9._-]+)(?:\/(.*?))?\/*$/.exec(root) ?? [];
    const bucket = buckets.get(name);
    if (bucket === undefined) {
      throw new SettingsError(
        `The pages lie in ${root || 'no bucket'}, and the Worker has ${[...buckets.keys()].join(', ') || 'none'} bound: bind it as BATCHLAB_BUCKET, ` +
          'and set R2_BUCKET to its name and BATCHLAB_PAGES_ROOT to what the service has.',
      );
    }
    this.#bucket = bucket;
    this.#folder = [prefix, 'pages', token].filter(Boolean).join('/');
  }

  async read(name: string): Promise<{ text: string; etag: string } | null> {
    const object = await this.#bucket.get(`${this.#folder}/${name}`);
    return object === null ? null : { text: await object.text(), etag: object.httpEtag };
  }

  async shown(request: Request): Promise<Response> {
    const found = await this.read('index.html');
    return found === null ? nothingHere() : kept(request, found.text, found.etag, pageHeaders(found.text));
  }

  async gone(): Promise<Response> {
    const found = await this.read('gone.html');
    return found === null ? words(410, 'This page has expired.') : answer(found.text, 410, pageHeaders(found.text));
  }
}

function bucketsOf(env: Env, options: PageOptions): ReadonlyMap<string, Bucket> {
  if (options.buckets) return new Map(Object.entries(options.buckets));
  const found = variables(env);
  const name = found.R2_BUCKET ?? /^r2:\/\/([^/]+)/.exec(options.pagesRoot ?? found.BATCHLAB_PAGES_ROOT ?? '')?.[1];
  const bucket = bucketOf(env);
  return new Map(bucket && name ? [[name, bucket]] : []);
}

function rootOf(env: Env): string {
  const found = variables(env);
  return found.BATCHLAB_PAGES_ROOT ?? (found.R2_BUCKET ? `r2://${found.R2_BUCKET}` : '');
}
