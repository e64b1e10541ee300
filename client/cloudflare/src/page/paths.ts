/** What an address under /s or /d asks for. */
export type Asked =
  | { what: 'page' | 'status'; token: string }
  | { what: 'download'; token: string; file: string | null }
  | { what: 'nothing' };

const TOKEN = /^[0-9A-Za-z_-]{22}$/; // 128 random bits, see batchlab/page/links.py

/** What the path asks for; null when it is not under /s or /d and so none of ours. */
export function asked(path: string): Asked | null {
  const [, root, token = '', more, ...rest] = path.split('/');
  if (root !== 's' && root !== 'd') return null;
  if (!TOKEN.test(token) || rest.length > 0) return { what: 'nothing' };
  if (root === 's') {
    if (more === undefined) return { what: 'page', token };
    return more === 'status.json' ? { what: 'status', token } : { what: 'nothing' };
  }
  if (more === undefined) return { what: 'download', token, file: null };
  try {
    return { what: 'download', token, file: decodeURIComponent(more) };
  } catch {
    return { what: 'nothing' };
  }
}
