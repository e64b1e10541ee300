import { SettingsError } from './errors.js';

/** The Worker's variables and bindings, or an object like it. */
export type Env = object;

/** How jobs get out of the Worker: to the endpoint, to the intake queue, or straight to AWS Batch. */
export type Access = 'url' | 'sqs' | 'batch';

/** What this package reads of the Worker's environment; docs/cloudflare.md says what each is for. */
export interface Variables {
  BATCHLAB_URL?: string;
  BATCHLAB_TOKEN?: string;
  BATCHLAB_OUTPUT?: string;
  BATCHLAB_PAGES_ROOT?: string;
  BATCH_WORKER_ACCESS?: string;
  BATCH_AWS_REGION?: string;
  BATCH_AWS_ACCESS_KEY?: string;
  BATCH_AWS_SECRET_KEY?: string;
  BATCH_SQS_QUEUE_URL?: string;
  BATCH_JOB_QUEUE_ARN?: string;
  BATCH_JOB_DEFINITION_ARN?: string;
  /** Where AWS Batch answers, when not at its own address. */
  BATCH_ENDPOINT?: string;
  R2_BUCKET?: string;
}

const NAMES = [
  'BATCHLAB_URL',
  'BATCHLAB_TOKEN',
  'BATCHLAB_OUTPUT',
  'BATCHLAB_PAGES_ROOT',
  'BATCH_WORKER_ACCESS',
  'BATCH_AWS_REGION',
  'BATCH_AWS_ACCESS_KEY',
  'BATCH_AWS_SECRET_KEY',
  'BATCH_SQS_QUEUE_URL',
  'BATCH_JOB_QUEUE_ARN',
  'BATCH_JOB_DEFINITION_ARN',
  'BATCH_ENDPOINT',
  'R2_BUCKET',
] as const satisfies readonly (keyof Variables)[];

/** The variables of `env` that are set, over what was deployed; other bindings are not looked at. */
export function variables(env: Env, deployed: Variables = {}): Variables {
  const found: Variables = { ...deployed };
  for (const name of NAMES) {
    const value = (env as Record<string, unknown>)[name];
    if (typeof value === 'string' && value.trim() !== '') found[name] = value.trim();
  }
  return found;
}

/** The environment of the running Worker, for callers that were given none. Rejects where there is no such thing. */
export async function ownEnv(): Promise<Env> {
  try {
    const { env } = (await import('cloudflare:workers')) as { env: Env };
    return env;
  } catch {
    throw new SettingsError('No env was given, and none can be imported here: write new AWSBatchIntegration(env).');
  }
}

/** The variable's value; throws SettingsError when it is not set. */
export function needed(found: Variables, name: keyof Variables): string {
  const value = found[name];
  if (!value) throw new SettingsError(`${name} is not set in the Worker; ./deploy.sh prints it.`);
  return value;
}

/** What BATCH_WORKER_ACCESS says, else the first way whose address is set. Throws SettingsError. */
export function accessOf(found: Variables): Access {
  const said = found.BATCH_WORKER_ACCESS;
  if (said === 'url' || said === 'sqs' || said === 'batch') return said;
  if (said) {
    throw new SettingsError(
      `worker_access is ${said}: deploy with --set worker_access=url, or set BATCH_WORKER_ACCESS to url, sqs or batch.`,
    );
  }
  if (found.BATCHLAB_URL) return 'url';
  if (found.BATCH_SQS_QUEUE_URL) return 'sqs';
  if (found.BATCH_JOB_QUEUE_ARN) return 'batch';
  throw new SettingsError('Set BATCHLAB_URL in the Worker (or BATCH_SQS_QUEUE_URL, or BATCH_JOB_QUEUE_ARN); ./deploy.sh prints them.');
}

/** What this package uses of an R2 binding. */
export type Bucket = Pick<R2Bucket, 'get' | 'head' | 'put'>;

/** The first of these bindings of `env` that is an R2 bucket, or null. */
export function bucketOf(env: Env, name = 'BATCHLAB_BUCKET'): Bucket | null {
  const found = (env as Record<string, unknown>)[name];
  const isBucket = typeof found === 'object' && found !== null && 'get' in found && 'head' in found && 'put' in found;
  return isBucket ? (found as Bucket) : null;
}
