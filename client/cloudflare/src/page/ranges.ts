/** A part of an object: bytes from `offset`. */
export interface Range {
  offset: number;
  length: number;
}

/** What can be known of an object before it is read. */
export interface Version {
  etag: string; // with its quotes
  size: number;
  uploaded: Date;
}

export type Answer = 'whole' | 'unchanged' | 'failed' | 'unsatisfiable' | Range;

/**
 * How a GET is answered by its conditions and its Range. Several ranges, and what cannot be read, get the whole.
 * Source: RFC 9110, 13.2.2 (order of conditions) and 14.2 (Range).
 */
export function answerTo(headers: Headers, version: Version): Answer {
  const match = headers.get('if-match');
  if (match !== null && !names(match, version.etag)) return 'failed';
  const none = headers.get('if-none-match');
  if (none !== null) {
    if (names(none, version.etag)) return 'unchanged';
  } else if (notSince(headers.get('if-modified-since'), version.uploaded)) {
    return 'unchanged';
  }
  const range = headers.get('range');
  return range === null || !stillThat(headers.get('if-range'), version) ? 'whole' : rangeOf(range, version.size);
}

function rangeOf(header: string, size: number): Answer {
  const found = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.trim());
  if (!found || (found[1] === '' && found[2] === '')) return 'whole';
  const [, first, last] = found as unknown as [string, string, string];
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { offset: size - length, length };
  }
  const offset = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < offset) return 'whole'; // not a range at all
  return offset >= size ? 'unsatisfiable' : { offset, length: end - offset + 1 };
}

/** Whether a list of ETags names this one; a weak one counts, as nothing here changes without its bytes changing. */
export function names(list: string, etag: string): boolean {
  return list.trim() === '*' || list.split(',').some((each) => each.trim().replace(/^W\//, '') === etag);
}

function stillThat(condition: string | null, version: Version): boolean {
  if (condition === null) return true;
  if (condition.includes('"')) return condition.trim() === version.etag; // a weak one never matches here
  return Math.floor(version.uploaded.getTime() / 1000) * 1000 === Date.parse(condition);
}

function notSince(header: string | null, uploaded: Date): boolean {
  const since = header === null ? NaN : Date.parse(header);
  return Math.floor(uploaded.getTime() / 1000) * 1000 <= since;
}
