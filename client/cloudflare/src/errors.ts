/**
 * Every error that this package throws on purpose; `message` says what to do next.
 *
 *     BatchLabError
 *     ├── SettingsError   a variable or a binding of the Worker is missing
 *     ├── DocumentError   the service refuses the document or the wish; `problems` holds all of them
 *     │   └── KeyTaken    the idempotency key belongs to another document
 *     ├── NotFound        there is no such job
 *     ├── Denied          the keys are wrong, or may not do this
 *     ├── ServiceError    no answer, or the service asks to come again after `retryAfter` seconds
 *     └── WebhookError    a request that is no webhook of ours; answer it with `status`
 */
export class BatchLabError extends Error {
  /** HTTP status of the answer behind this error; 0 when there was none. */
  readonly status: number;

  constructor(message: string, status = 0) {
    super(message);
    this.name = new.target.name;
    this.status = status;
  }
}

export class SettingsError extends BatchLabError {}

export class DocumentError extends BatchLabError {
  /** Each thing that is wrong, a sentence each. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[], status = 0) {
    super(problems.join('\n'), status);
    this.problems = problems;
  }
}

export class KeyTaken extends DocumentError {}

export class NotFound extends BatchLabError {}

export class Denied extends BatchLabError {}

export class ServiceError extends BatchLabError {
  /** Seconds after which it is worth trying again; null when nobody said. */
  readonly retryAfter: number | null;

  constructor(message: string, status = 0, retryAfter: number | null = null) {
    super(message, status);
    this.retryAfter = retryAfter;
  }
}

export class WebhookError extends BatchLabError {}
