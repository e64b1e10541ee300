import type { Problem } from './answers.js';
import { BatchLabError, Denied, DocumentError, KeyTaken, NotFound, ServiceError } from './errors.js';
import { retryAfter } from './send.js';

/** The error that an answer of the endpoint means. */
export async function failure(answer: Response): Promise<BatchLabError> {
  const text = await answer.text();
  const { status } = answer;
  const problem = problemIn(text);
  const said = problem?.detail || problem?.title || text.slice(0, 300) || answer.statusText;
  const problems = problem?.problems?.length ? problem.problems : [said];
  if (status === 401 || status === 403) {
    return new Denied(
      `The endpoint refuses this (${status}): ${said}. Are BATCH_AWS_ACCESS_KEY and BATCH_AWS_SECRET_KEY those that ./deploy.sh printed ` +
        'with worker_access=url (or BATCHLAB_TOKEN that of the service)?',
      status,
    );
  }
  if (status === 404) return new NotFound(said, status);
  if (status === 422 && problems.some((each) => /^idempotency_key: .* already/.test(each))) return new KeyTaken(problems, status);
  if (status === 409) return new ServiceError(`${said} Try again.`, status, retryAfter(answer));
  if (status === 429 || status >= 500) {
    return new ServiceError(`The endpoint cannot answer now (${status}): ${said}`, status, retryAfter(answer));
  }
  if (status >= 300 && status < 400) {
    return new BatchLabError(`The endpoint sends us elsewhere (${status}): is BATCHLAB_URL its own address?`, status);
  }
  return new DocumentError(problems, status);
}

function problemIn(text: string): Partial<Problem> | null {
  try {
    const found: unknown = JSON.parse(text);
    return found !== null && typeof found === 'object' ? (found as Partial<Problem>) : null;
  } catch {
    return null;
  }
}
