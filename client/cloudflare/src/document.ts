/** The job document, as docs/documents.md describes it. */
export interface JobDocument {
  version?: 1;
  /** A ULID in lower case; when absent, one is made. */
  id?: string;
  /** The job type, such as zip-export. */
  type: string;
  title?: string;
  params?: Record<string, unknown>;
  /** The URL of a prefix, such as r2://bucket/exports. */
  output?: string;
  limits?: Record<string, unknown>;
  resources?: { queue?: 'standard' | 'express'; vcpus?: number; memory_mib?: number | string };
  shards?: number;
  /** How long what was delivered is kept, such as "7d". */
  expires?: string;
  notify?: NotifyTarget[];
  language?: 'en' | 'de';
  tags?: Record<string, string>;
  /** Two submissions with one key are one job. */
  idempotency_key?: string;
}

export type NotifyTarget = { events?: string[] } & ({ webhook: string; secret_ref?: string } | { email: string });
