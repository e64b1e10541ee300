import type { Estimate, ItemPage, JobInfo, Outcome } from './answers.js';
import { hasEnded } from './answers.js';
import type { JobDocument } from './document.js';
import { DocumentError } from './errors.js';
import { failure } from './failure.js';
import { retryAfter, send, type Fetch } from './send.js';
import { needed, ownEnv, variables, type Env, type Variables } from './settings.js';

const LONGEST_DOCUMENT = 5 * 1024 * 1024; // bytes; a Lambda function URL takes 6 MB. Source: AWS Lambda quotas
const AGAIN_SECONDS = 5; // when the service does not say
const HEADER_KEY = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/;

export interface ClientOptions {
  /** Stands in for variables that `env` does not set. */
  variables?: Variables;
  fetch?: Fetch;
}

/** One look at a job. Give it to the next `poll`, and an unchanged job costs no body. */
export interface Look {
  job: JobInfo;
  ended: boolean;
  /** Seconds after which to look again; null when the job has ended. */
  again: number | null;
  etag: string | null;
}

export interface ItemQuery {
  outcome?: Outcome;
  limit?: number;
  cursor?: string;
}

/** The endpoint's client. Every method rejects with a BatchLabError that says what to do. */
export class BatchLab {
  readonly #env: Env | undefined;
  readonly #options: ClientOptions;

  /** Without `env`, the Worker's own environment is read. */
  constructor(env?: Env, options: ClientOptions = {}) {
    this.#env = env;
    this.#options = options;
  }

  /** The job exists, once for each idempotency key, and is on its way. */
  async submit(document: JobDocument, options: { idempotencyKey?: string } = {}): Promise<JobInfo> {
    // Without a key of the caller's, this call's own: a lost answer is asked for again, and is the same job.
    const key = options.idempotencyKey ?? document.idempotency_key ?? crypto.randomUUID();
    // A header cannot spell every key; the document can.
    const body = JSON.stringify({ ...document, idempotency_key: key });
    limit(body);
    const headers: Record<string, string> = HEADER_KEY.test(key) ? { 'idempotency-key': key } : {};
    return this.#json<JobInfo>('POST', '/v1/jobs', { body, headers });
  }

  /** What the job would take; nothing is started. */
  async estimate(document: JobDocument): Promise<Estimate> {
    const body = JSON.stringify(document);
    limit(body);
    return this.#json<Estimate>('POST', '/v1/estimates', { body });
  }

  async get(id: string): Promise<JobInfo> {
    return this.#json<JobInfo>('GET', `/v1/jobs/${encodeURIComponent(id)}`);
  }

  /**
   * Looks at the job once and says when to look again: nothing waits in the Worker. Call it from a cron trigger, a
   * queue's delayed message, a Durable Object's alarm or a step of a Workflow.
   */
  async poll(id: string, earlier?: Look): Promise<Look> {
    const headers: Record<string, string> = earlier?.etag ? { 'if-none-match': earlier.etag } : {};
    const answer = await this.#answer('GET', `/v1/jobs/${encodeURIComponent(id)}`, { headers });
    const unchanged = answer.status === 304 && earlier !== undefined;
    if (!unchanged && !answer.ok) throw await failure(answer);
    const job = unchanged ? earlier.job : await answer.json<JobInfo>();
    const ended = hasEnded(job.state);
    return {
      job,
      ended,
      again: ended ? null : (retryAfter(answer) ?? AGAIN_SECONDS),
      etag: answer.headers.get('etag') ?? (unchanged ? earlier.etag : null),
    };
  }

  /** What became of the items that have ended, a page of them. */
  async items(id: string, query: ItemQuery = {}): Promise<ItemPage> {
    const asked = Object.entries(query).filter(([, value]) => value !== undefined);
    const words = new URLSearchParams(asked.map(([name, value]) => [name, String(value)]));
    return this.#json<ItemPage>('GET', `/v1/jobs/${encodeURIComponent(id)}/items${asked.length ? `?${words}` : ''}`);
  }

  /** The job is asked to stop; one that has ended stays as it is. */
  async cancel(id: string): Promise<JobInfo> {
    return this.#json<JobInfo>('POST', `/v1/jobs/${encodeURIComponent(id)}/cancel`);
  }

  /** A new generation takes what failed or was not started. */
  async retry(id: string): Promise<JobInfo> {
    return this.#json<JobInfo>('POST', `/v1/jobs/${encodeURIComponent(id)}/retry`, { repeatable: false });
  }

  async #json<T>(method: 'GET' | 'POST', path: string, more: More = {}): Promise<T> {
    const answer = await this.#answer(method, path, more);
    if (!answer.ok) throw await failure(answer);
    return answer.json<T>();
  }

  async #answer(method: 'GET' | 'POST', path: string, more: More): Promise<Response> {
    const found = variables(this.#env ?? (await ownEnv()), this.#options.variables);
    const url = new URL(path, needed(found, 'BATCHLAB_URL'));
    const outgoing = { service: 'lambda', method, url, repeatable: true, ...more } as const;
    return send(found, outgoing, this.#options.fetch ?? ((request) => fetch(request)));
  }
}

interface More {
  body?: string;
  headers?: Record<string, string>;
  repeatable?: boolean;
}

function limit(body: string): void {
  const bytes = new TextEncoder().encode(body).length;
  if (bytes > LONGEST_DOCUMENT) {
    throw new DocumentError([`The document is ${bytes} bytes long, at most ${LONGEST_DOCUMENT} are taken: put its list into a manifest.`]);
  }
}

