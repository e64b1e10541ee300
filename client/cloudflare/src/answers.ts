/**
 * What the service answers: the same names as batchlab/api.py, which a test compares. Times are ISO 8601 in UTC.
 * Fields at their default may be absent only where the type says so; unknown fields are to be ignored.
 */

export type State =
  | 'queued'
  | 'starting'
  | 'running'
  | 'cancelling'
  | 'succeeded'
  | 'partial'
  | 'failed'
  | 'cancelled'
  | 'expired';

export type Outcome = 'done' | 'failed' | 'skipped';

/** Items and bytes of one generation. */
export interface Counts {
  total: number;
  done: number;
  failed: number;
  skipped: number;
  in_flight: number;
  total_bytes: number | null;
  done_bytes: number;
}

/** One file that a job delivered. */
export interface Delivered {
  name: string;
  /** Where it lies, such as r2://bucket/key. */
  url: string;
  size_bytes: number;
  sha256: string | null;
  members: number | null;
  /** An https address that anybody may open until the job's `expires_at`. */
  link: string | null;
}

/** Where a job stands, and what came of it once it has ended. */
export interface JobInfo {
  id: string;
  type: string;
  title: string;
  tags: Record<string, string>;
  state: State;
  generation: number;
  counts: Counts;
  /** Running, and no progress for 5 minutes. */
  stalled: boolean;
  /** One plain sentence for the customer. */
  message: string;
  created_at: string;
  started_at: string | null;
  last_progress_at: string | null;
  ended_at: string | null;
  /** A quota is used up: the job goes on then by itself. */
  resume_at: string | null;
  expires_at: string | null;
  /** The customer's page. */
  page: string | null;
  artifacts: Delivered[];
  report: Record<string, unknown> | null;
}

/** What became of one item. */
export interface ItemInfo {
  key: string;
  outcome: Outcome;
  attempts: number;
  size_bytes: number;
  seconds: number;
  kind: string;
  message: string;
  recoverable: boolean;
}

/** `next` is the cursor of the page behind this one, null at the end. */
export interface ItemPage {
  items: ItemInfo[];
  next: string | null;
}

/** What a job would take; null: cannot be known, and `unknown` says why. */
export interface Estimate {
  items: number | null;
  size_bytes: number | null;
  sampled: number;
  seconds: number | null;
  dollars: number | null;
  priced_at: string;
  assumptions: string[];
  unknown: string[];
}

/** Any error of the service: application/problem+json. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  problems: string[];
}

const ENDED: ReadonlySet<State> = new Set(['succeeded', 'partial', 'failed', 'cancelled', 'expired']);

/** Whether nothing more will happen to a job in this state, unless somebody retries it. */
export function hasEnded(state: State): boolean {
  return ENDED.has(state);
}
