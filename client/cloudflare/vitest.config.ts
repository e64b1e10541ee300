import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: './example/wrangler.jsonc' },
      miniflare: {
        bindings: {
          BATCHLAB_URL: 'https://lab.lambda-url.eu-central-1.on.aws',
          BATCH_AWS_ACCESS_KEY: 'AKIDEXAMPLE',
          BATCH_AWS_SECRET_KEY: 'secret',
          BATCHLAB_WEBHOOK_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
          EXPORT_TOKEN: 'the-shop',
        },
      },
    }),
  ],
  // A machine that is busy elsewhere is slow, and not wrong.
  test: { include: ['test/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000 },
});
