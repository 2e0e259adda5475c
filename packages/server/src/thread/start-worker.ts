import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Starts a script of this package in a thread.
 *
 * @param script its path below the folder of the sources, without an extension
 */
export function startWorker(script: string, options: WorkerOptions): Worker {
  // Tests run the sources. Scripts of threads, and what those import, are in what the build makes of them.
  const isSource = import.meta.url.endsWith('.ts');
  const url = new URL(`${isSource ? '../../dist' : '..'}/${script}.js`, import.meta.url);
  return new Worker(url, { ...options, ...(isSource && { execArgv: [] }) });
}
