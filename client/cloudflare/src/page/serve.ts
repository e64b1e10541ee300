import type { Env } from '../settings.js';
export async function servePage(_request: Request, _env: Env): Promise<Response | null> { return null; }
