declare namespace Cloudflare {
  interface GlobalProps {
    mainModule: typeof import('../example/src/index.js');
  }
  interface Env {
    BATCHLAB_BUCKET: R2Bucket;
    BATCHLAB_WEBHOOK_SECRET: string;
    EXPORT_TOKEN: string;
  }
}
