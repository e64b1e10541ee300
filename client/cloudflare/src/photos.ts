import { concatenated, sha256 } from './bytes.js';
import { DocumentError, SettingsError } from './errors.js';
import type { Bucket } from './settings.js';

/** One photo of an event: its URL alone, or with what is known of it. */
export type Photo =
  | string
  | {
      url: string;
      /** Its name in the ZIP, folders allowed. */
      name?: string;
      /** Its stable name in reports and retries. */
      id?: string | number;
      /** Its bytes, when known. */
      size?: number;
      /** Its date in the ZIP. */
      takenAt?: string | Date;
    };

/** A long list kept in a file, which the job reads by itself. */
export interface Manifest {
  manifest: string;
  sha256: string;
  count: number;
}

/** Where long lists go: a binding, and the URL of the prefix that it stands for, such as r2://bucket/lists. */
export interface ListPlace {
  bucket: Bucket;
  bucketName: string;
  prefix: string;
}

const FIELDS = ['url', 'name', 'id', 'size', 'takenAt'];
const MOST_TOLD = 20;
const PIECE = 1_000; // photos that are text at one time

/** The photos as a document's items. Throws DocumentError with everything that is wrong. */
export function itemsOf(eventId: string, photos: readonly Photo[]): Photo[] {
  if (photos.length === 0) throw new DocumentError([`submitPhotoProcessingJob: event ${eventId} has no photos.`]);
  const problems: string[] = [];
  const items = photos.map((photo, index) => {
    if (typeof photo === 'string') return photo;
    if (photo === null || typeof photo !== 'object' || typeof photo.url !== 'string' || photo.url === '') {
      problems.push(`photos[${index}]: expected a URL, or {url, name?, id?, size?, takenAt?}.`);
      return '';
    }
    const strange = Object.keys(photo).filter((name) => !FIELDS.includes(name));
    if (strange.length > 0) problems.push(`photos[${index}]: ${strange.join(', ')} is unknown; known are ${FIELDS.join(', ')}.`);
    const { url, name, id, size, takenAt } = photo;
    // always in this order, so that the same photos are the same text
    return { url, ...given({ name, id, size, takenAt: takenAt instanceof Date ? takenAt.toISOString() : takenAt }) };
  });
  if (problems.length > MOST_TOLD) problems.splice(MOST_TOLD, problems.length, `... and ${problems.length - MOST_TOLD} more.`);
  if (problems.length > 0) throw new DocumentError(problems);
  return items;
}

/** The photos as JSON lines. Piece by piece: a Worker has 128 MB in all. */
export function linesOf(items: readonly Photo[]): Uint8Array {
  const encoder = new TextEncoder();
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < items.length; at += PIECE) {
    const lines = items.slice(at, at + PIECE).map((item) => JSON.stringify(typeof item === 'string' ? { url: item } : item));
    pieces.push(encoder.encode(`${lines.join('\n')}\n`));
  }
  return concatenated(pieces);
}

/** The list lies in R2 afterwards, under the name of its own digest, so that the same list is one object. */
export async function keepList(lines: Uint8Array, count: number, place: ListPlace): Promise<Manifest> {
  const digest = await sha256(lines);
  const key = `${place.prefix}/${digest}.jsonl`;
  if ((await place.bucket.head(key)) === null) {
    await place.bucket.put(key, lines, { sha256: digest, httpMetadata: { contentType: 'application/jsonl' } });
  }
  return { manifest: `r2://${place.bucketName}/${key}`, sha256: digest, count };
}

/** Why a list that is too long cannot be kept, and what to do. */
export function noPlace(bytes: number, most: number, way: string): SettingsError {
  return new SettingsError(
    `The photos make a document of ${bytes} bytes, too many for ${way} (at most ${most}). Bind an R2 bucket as BATCHLAB_BUCKET and ` +
      'set R2_BUCKET to its name, and the list goes there first; or put the list into a manifest yourself.',
  );
}

function given<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}
