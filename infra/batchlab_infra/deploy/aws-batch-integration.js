// Written by ./deploy.sh of batchlab, which writes it again: change nothing here.
//
//   import { AWSBatchIntegration } from './aws-batch-integration.js';
//   const batch = new AWSBatchIntegration(env);
//   const result = await batch.submitPhotoProcessingJob(eventId, photos);
//
// `photos` is a list of URLs or {url, name?, id?, size?, takenAt?}. The Worker needs `npm install aws4fetch`, and of
// env BATCH_AWS_ACCESS_KEY and BATCH_AWS_SECRET_KEY; what else it finds there stands before what was deployed.
// The same and more, with types, is in the npm package batchlab, of whose sources this is made (client/cloudflare).
const DEPLOYED = {};
function canonical(value) {
  return JSON.stringify(
    value,
    (_, part) => part !== null && typeof part === "object" && !Array.isArray(part) ? Object.fromEntries(Object.entries(part).sort(([one], [other]) => one < other ? -1 : 1)) : part
  );
}
async function sha256(content) {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}
function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
function concatenated(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

var ENDED = /* @__PURE__ */ new Set(["succeeded", "partial", "failed", "cancelled", "expired"]);
function hasEnded(state) {
  return ENDED.has(state);
}

var BatchLabError = class extends Error {
  /** HTTP status of the answer behind this error; 0 when there was none. */
  status;
  constructor(message, status = 0) {
    super(message);
    this.name = new.target.name;
    this.status = status;
  }
};
var SettingsError = class extends BatchLabError {
};
var DocumentError = class extends BatchLabError {
  /** Each thing that is wrong, a sentence each. */
  problems;
  constructor(problems, status = 0) {
    super(problems.join("\n"), status);
    this.problems = problems;
  }
};
var KeyTaken = class extends DocumentError {
};
var NotFound = class extends BatchLabError {
};
var Denied = class extends BatchLabError {
};
var ServiceError = class extends BatchLabError {
  /** Seconds after which it is worth trying again; null when nobody said. */
  retryAfter;
  constructor(message, status = 0, retryAfter2 = null) {
    super(message, status);
    this.retryAfter = retryAfter2;
  }
};

import { AwsClient } from "aws4fetch";

var NAMES = [
  "BATCHLAB_URL",
  "BATCHLAB_TOKEN",
  "BATCHLAB_OUTPUT",
  "BATCHLAB_PAGES_ROOT",
  "BATCH_WORKER_ACCESS",
  "BATCH_AWS_REGION",
  "BATCH_AWS_ACCESS_KEY",
  "BATCH_AWS_SECRET_KEY",
  "BATCH_SQS_QUEUE_URL",
  "BATCH_JOB_QUEUE_ARN",
  "BATCH_JOB_DEFINITION_ARN",
  "BATCH_ENDPOINT",
  "R2_BUCKET"
];
function variables(env, deployed = {}) {
  const found = { ...deployed };
  for (const name of NAMES) {
    const value = env[name];
    if (typeof value === "string" && value.trim() !== "") found[name] = value.trim();
  }
  return found;
}
async function ownEnv() {
  try {
    const { env } = await import("cloudflare:workers");
    return env;
  } catch {
    throw new SettingsError("No env was given, and none can be imported here: write new AWSBatchIntegration(env).");
  }
}
function needed(found, name) {
  const value = found[name];
  if (!value) throw new SettingsError(`${name} is not set in the Worker; ./deploy.sh prints it.`);
  return value;
}
function accessOf(found) {
  const said2 = found.BATCH_WORKER_ACCESS;
  if (said2 === "url" || said2 === "sqs" || said2 === "batch") return said2;
  if (said2) {
    throw new SettingsError(
      `worker_access is ${said2}: deploy with --set worker_access=url, or set BATCH_WORKER_ACCESS to url, sqs or batch.`
    );
  }
  if (found.BATCHLAB_URL) return "url";
  if (found.BATCH_SQS_QUEUE_URL) return "sqs";
  if (found.BATCH_JOB_QUEUE_ARN) return "batch";
  throw new SettingsError("Set BATCHLAB_URL in the Worker (or BATCH_SQS_QUEUE_URL, or BATCH_JOB_QUEUE_ARN); ./deploy.sh prints them.");
}
function bucketOf(env, name = "BATCHLAB_BUCKET") {
  const found = env[name];
  const isBucket = typeof found === "object" && found !== null && "get" in found && "head" in found && "put" in found;
  return isBucket ? found : null;
}

var RETRIES = 3;
var TIMEOUT_MS = 3e4;
var FIRST_PAUSE_MS = 200;
var LONGEST_PAUSE_MS = 5e3;
async function send(found, outgoing, fetcher) {
  for (let tried = 0; ; tried++) {
    const last = tried === RETRIES;
    const request = await signed(found, outgoing);
    let answer = null;
    let reason = "";
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
    if (answer !== null && asked !== null && asked * 1e3 > LONGEST_PAUSE_MS) return answer;
    await answer?.body?.cancel();
    const growing = FIRST_PAUSE_MS * 2 ** tried * (0.5 + Math.random());
    await new Promise((done) => setTimeout(done, Math.max((asked ?? 0) * 1e3, growing)));
  }
}
function retryAfter(answer) {
  const seconds = Number(answer?.headers.get("retry-after") ?? NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : null;
}
function passing(status, repeatable) {
  return status === 429 || repeatable && (status === 409 || status >= 500);
}
async function signed(found, outgoing) {
  const { service, method, url, body } = outgoing;
  const headers = { "content-type": "application/json", accept: "application/json", ...outgoing.headers };
  const init = { method, headers, redirect: "manual", signal: AbortSignal.timeout(TIMEOUT_MS), ...body === void 0 ? {} : { body } };
  if (service === "lambda" && found.BATCHLAB_TOKEN) {
    return new Request(url, { ...init, headers: { ...headers, authorization: `Bearer ${found.BATCHLAB_TOKEN}` } });
  }
  const client = new AwsClient({
    accessKeyId: needed(found, "BATCH_AWS_ACCESS_KEY"),
    secretAccessKey: needed(found, "BATCH_AWS_SECRET_KEY"),
    region: regionOf(url) ?? found.BATCH_AWS_REGION ?? "us-east-1",
    service
  });
  return client.sign(url, init);
}
function regionOf(url) {
  return /(?:\.lambda-url|^sqs|^batch)\.([a-z0-9-]+)\.(?:on\.aws|amazonaws\.com)$/.exec(url.hostname)?.[1];
}

async function failure(answer) {
  const text = await answer.text();
  const { status } = answer;
  const problem = problemIn(text);
  const said2 = problem?.detail || problem?.title || text.slice(0, 300) || answer.statusText;
  const problems = problem?.problems?.length ? problem.problems : [said2];
  if (status === 401 || status === 403) {
    return new Denied(
      `The endpoint refuses this (${status}): ${said2}. Are BATCH_AWS_ACCESS_KEY and BATCH_AWS_SECRET_KEY those that ./deploy.sh printed with worker_access=url (or BATCHLAB_TOKEN that of the service)?`,
      status
    );
  }
  if (status === 404) return new NotFound(said2, status);
  if (status === 422 && problems.some((each) => /^idempotency_key: .* already/.test(each))) return new KeyTaken(problems, status);
  if (status === 409) return new ServiceError(`${said2} Try again.`, status, retryAfter(answer));
  if (status === 429 || status >= 500) {
    return new ServiceError(`The endpoint cannot answer now (${status}): ${said2}`, status, retryAfter(answer));
  }
  if (status >= 300 && status < 400) {
    return new BatchLabError(`The endpoint sends us elsewhere (${status}): is BATCHLAB_URL its own address?`, status);
  }
  return new DocumentError(problems, status);
}
function problemIn(text) {
  try {
    const found = JSON.parse(text);
    return found !== null && typeof found === "object" ? found : null;
  } catch {
    return null;
  }
}

var LONGEST_DOCUMENT = 5 * 1024 * 1024;
var AGAIN_SECONDS = 5;
var HEADER_KEY = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/;
var BatchLab = class {
  #env;
  #options;
  /** Without `env`, the Worker's own environment is read. */
  constructor(env, options = {}) {
    this.#env = env;
    this.#options = options;
  }
  /** The job exists, once for each idempotency key, and is on its way. */
  async submit(document, options = {}) {
    const key = options.idempotencyKey ?? document.idempotency_key ?? crypto.randomUUID();
    const body = JSON.stringify({ ...document, idempotency_key: key });
    limit(body);
    const headers = HEADER_KEY.test(key) ? { "idempotency-key": key } : {};
    return this.#json("POST", "/v1/jobs", { body, headers });
  }
  /** What the job would take; nothing is started. */
  async estimate(document) {
    const body = JSON.stringify(document);
    limit(body);
    return this.#json("POST", "/v1/estimates", { body });
  }
  async get(id) {
    return this.#json("GET", `/v1/jobs/${encodeURIComponent(id)}`);
  }
  /**
   * Looks at the job once and says when to look again: nothing waits in the Worker. Call it from a cron trigger, a
   * queue's delayed message, a Durable Object's alarm or a step of a Workflow.
   */
  async poll(id, earlier) {
    const headers = earlier?.etag ? { "if-none-match": earlier.etag } : {};
    const answer = await this.#answer("GET", `/v1/jobs/${encodeURIComponent(id)}`, { headers });
    const unchanged = answer.status === 304 && earlier !== void 0;
    if (!unchanged && !answer.ok) throw await failure(answer);
    const job = unchanged ? earlier.job : await answer.json();
    const ended = hasEnded(job.state);
    return {
      job,
      ended,
      again: ended ? null : retryAfter(answer) ?? AGAIN_SECONDS,
      etag: answer.headers.get("etag") ?? (unchanged ? earlier.etag : null)
    };
  }
  /** What became of the items that have ended, a page of them. */
  async items(id, query = {}) {
    const asked = Object.entries(query).filter(([, value]) => value !== void 0);
    const words = new URLSearchParams(asked.map(([name, value]) => [name, String(value)]));
    return this.#json("GET", `/v1/jobs/${encodeURIComponent(id)}/items${asked.length ? `?${words}` : ""}`);
  }
  /** The job is asked to stop; one that has ended stays as it is. */
  async cancel(id) {
    return this.#json("POST", `/v1/jobs/${encodeURIComponent(id)}/cancel`);
  }
  /** A new generation takes what failed or was not started. */
  async retry(id) {
    return this.#json("POST", `/v1/jobs/${encodeURIComponent(id)}/retry`, { repeatable: false });
  }
  async #json(method, path, more = {}) {
    const answer = await this.#answer(method, path, more);
    if (!answer.ok) throw await failure(answer);
    return answer.json();
  }
  async #answer(method, path, more) {
    const found = variables(this.#env ?? await ownEnv(), this.#options.variables);
    const url = new URL(path, needed(found, "BATCHLAB_URL"));
    const outgoing = { service: "lambda", method, url, repeatable: true, ...more };
    return send(found, outgoing, this.#options.fetch ?? ((request) => fetch(request)));
  }
};
function limit(body) {
  const bytes = new TextEncoder().encode(body).length;
  if (bytes > LONGEST_DOCUMENT) {
    throw new DocumentError([`The document is ${bytes} bytes long, at most ${LONGEST_DOCUMENT} are taken: put its list into a manifest.`]);
  }
}

var FIELDS = ["url", "name", "id", "size", "takenAt"];
var MOST_TOLD = 20;
var PIECE = 1e3;
function itemsOf(eventId, photos) {
  if (photos.length === 0) throw new DocumentError([`submitPhotoProcessingJob: event ${eventId} has no photos.`]);
  const problems = [];
  const items = photos.map((photo, index) => {
    if (typeof photo === "string") return photo;
    if (photo === null || typeof photo !== "object" || typeof photo.url !== "string" || photo.url === "") {
      problems.push(`photos[${index}]: expected a URL, or {url, name?, id?, size?, takenAt?}.`);
      return "";
    }
    const strange = Object.keys(photo).filter((name2) => !FIELDS.includes(name2));
    if (strange.length > 0) problems.push(`photos[${index}]: ${strange.join(", ")} is unknown; known are ${FIELDS.join(", ")}.`);
    const { url, name, id, size, takenAt } = photo;
    return { url, ...given({ name, id, size, takenAt: takenAt instanceof Date ? takenAt.toISOString() : takenAt }) };
  });
  if (problems.length > MOST_TOLD) problems.splice(MOST_TOLD, problems.length, `... and ${problems.length - MOST_TOLD} more.`);
  if (problems.length > 0) throw new DocumentError(problems);
  return items;
}
function linesOf(items) {
  const encoder = new TextEncoder();
  const pieces = [];
  for (let at = 0; at < items.length; at += PIECE) {
    const lines = items.slice(at, at + PIECE).map((item) => JSON.stringify(typeof item === "string" ? { url: item } : item));
    pieces.push(encoder.encode(`${lines.join("\n")}
`));
  }
  return concatenated(pieces);
}
async function keepList(lines, count, place) {
  const digest = await sha256(lines);
  const key = `${place.prefix}/${digest}.jsonl`;
  if (await place.bucket.head(key) === null) {
    await place.bucket.put(key, lines, { sha256: digest, httpMetadata: { contentType: "application/jsonl" } });
  }
  return { manifest: `r2://${place.bucketName}/${key}`, sha256: digest, count };
}
function noPlace(bytes, most, way) {
  return new SettingsError(
    `The photos make a document of ${bytes} bytes, too many for ${way} (at most ${most}). Bind an R2 bucket as BATCHLAB_BUCKET and set R2_BUCKET to its name, and the list goes there first; or put the list into a manifest yourself.`
  );
}
function given(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== void 0));
}

var LONGEST = {
  url: [4e6, "the endpoint"],
  // a Lambda function URL takes 6 MB. Source: AWS Lambda, "Quotas"
  sqs: [1024 * 1024, "a message of SQS"],
  // Source: Amazon SQS Developer Guide, "Message quotas"
  batch: [25e3, "SubmitJob (worker_access sqs takes more)"]
  // SubmitJob takes 30 KiB in all
};
var ALL_ELSE = 2e3;
var MOST_ITEMS = 1e5;
var LISTS = "lists";
var AWSBatchIntegration = class {
  #env;
  #options;
  #jobs;
  /** Without `env`, the Worker's own environment is read. */
  constructor(env, options = {}) {
    this.#env = env;
    this.#options = options;
    this.#jobs = new BatchLab(env, options);
  }
  /** The same photos of the same event are one job, however often this is called (by url and sqs). */
  async submitPhotoProcessingJob(eventId, photos, options = {}) {
    if (eventId === void 0 || eventId === null || eventId === "") {
      throw new DocumentError(["submitPhotoProcessingJob: eventId is missing."]);
    }
    const event = String(eventId);
    const items = itemsOf(event, photos ?? []);
    const [env, found] = await this.#surroundings();
    const { name, idempotencyKey, params, ...fields } = options;
    const output = fields.output ?? outputOf(found);
    const document = {
      type: "zip-export",
      title: event,
      ...fields,
      ...output === void 0 ? {} : { output },
      params: { items: await this.#listed(items, env, found), name: name ?? `${slug(event)}.zip`, ...params }
    };
    document.idempotency_key = idempotencyKey ?? fields.idempotency_key ?? await keyOf(event, document);
    return this.submit(document);
  }
  /** Any job document. */
  async submit(document) {
    const [, found] = await this.#surroundings();
    const mode = accessOf(found);
    const fetcher = this.#options.fetch ?? ((request) => fetch(request));
    switch (mode) {
      case "url": {
        const job = await this.#jobs.submit(document);
        return { mode, id: job.id, job };
      }
      case "sqs":
        return { mode, id: await sendMessage(found, document, fetcher) };
      case "batch":
        return { mode, id: await submitJob(found, document, fetcher) };
    }
  }
  /** Where a job of `url` stands. */
  async get(id) {
    return (await this.#byUrl()).get(id);
  }
  /** A job of `url` is asked to stop. */
  async cancel(id) {
    return (await this.#byUrl()).cancel(id);
  }
  /** The photos themselves, or where their list lies when no way out of the Worker takes so many. */
  async #listed(items, env, found) {
    const [most, way] = LONGEST[accessOf(found)];
    const lines = linesOf(items);
    const bytes = lines.byteLength + ALL_ELSE;
    if (bytes <= most && items.length <= MOST_ITEMS) return items;
    const place = listPlace(env, found);
    if (place === null) throw noPlace(bytes, most, way);
    return [await keepList(lines, items.length, place)];
  }
  async #byUrl() {
    const [, found] = await this.#surroundings();
    const mode = accessOf(found);
    if (mode === "url") return this.#jobs;
    throw new SettingsError(`The Worker may only submit (worker_access ${mode}): deploy with --set worker_access=url to follow jobs.`);
  }
  async #surroundings() {
    const env = this.#env ?? await ownEnv();
    return [env, variables(env, this.#options.variables)];
  }
};
async function keyOf(event, document) {
  return `photos-${slug(event)}-${(await sha256(canonical(document))).slice(0, 32)}`;
}
function outputOf(found) {
  return found.BATCHLAB_OUTPUT ?? (found.R2_BUCKET ? `r2://${found.R2_BUCKET}/exports` : void 0);
}
function listPlace(env, found) {
  const bucket = bucketOf(env);
  return bucket && found.R2_BUCKET ? { bucket, bucketName: found.R2_BUCKET, prefix: LISTS } : null;
}
async function sendMessage(found, document, fetcher) {
  const queue = needed(found, "BATCH_SQS_QUEUE_URL");
  const body = JSON.stringify({ QueueUrl: queue, MessageBody: checked(document, "sqs") });
  const headers = { "content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.SendMessage" };
  const url = new URL("/", queue);
  const answer = await send(found, { service: "sqs", method: "POST", url, body, headers, repeatable: true }, fetcher);
  return (await said(answer, "SQS")).MessageId;
}
async function submitJob(found, document, fetcher) {
  const endpoint = found.BATCH_ENDPOINT ?? `https://batch.${found.BATCH_AWS_REGION ?? "us-east-1"}.amazonaws.com`;
  const body = JSON.stringify({
    jobName: slug(document.title || document.type),
    jobQueue: needed(found, "BATCH_JOB_QUEUE_ARN"),
    jobDefinition: needed(found, "BATCH_JOB_DEFINITION_ARN"),
    parameters: { job: checked(document, "batch") }
  });
  const url = new URL("/v1/submitjob", endpoint);
  const answer = await send(found, { service: "batch", method: "POST", url, body, repeatable: false }, fetcher);
  return (await said(answer, "AWS Batch")).jobId;
}
function checked(document, access) {
  const text = JSON.stringify(document);
  const [most, way] = LONGEST[access];
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > most) throw new DocumentError([`${bytes} bytes are too many for ${way}: put the list into a manifest.`]);
  return text;
}
async function said(answer, who) {
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text);
  throw new BatchLabError(`${who} answered ${answer.status}: ${text.slice(0, 300)} (are the Worker's keys those of its worker_access?)`, answer.status);
}
function slug(text) {
  return text.replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^-+/, "").slice(0, 100) || "job";
}

var AWSBatchIntegration2 = class extends AWSBatchIntegration {
  constructor(env, options = {}) {
    const { access, output, ...found } = DEPLOYED;
    super(env, { variables: { ...found, BATCH_WORKER_ACCESS: access, BATCHLAB_OUTPUT: output }, ...options });
  }
};
export {
  AWSBatchIntegration2 as AWSBatchIntegration
};
