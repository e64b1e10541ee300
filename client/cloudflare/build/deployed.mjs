import { AWSBatchIntegration as Integration } from '../src/integration.ts';

/** Photos of an event into one ZIP, by the way that was deployed; env stands before what was deployed. */
export class AWSBatchIntegration extends Integration {
  constructor(env, options = {}) {
    const { access, output, ...found } = DEPLOYED;
    super(env, { variables: { ...found, BATCH_WORKER_ACCESS: access, BATCHLAB_OUTPUT: output }, ...options });
  }
}
