declare namespace Cloudflare {
  interface Env {
    BATCHLAB_BUCKET: R2Bucket;
    BATCHLAB_WEBHOOK_SECRET: string;
    EXPORT_TOKEN: string;
  }
}
