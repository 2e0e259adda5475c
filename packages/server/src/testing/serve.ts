import type { EngineOptions } from '@flash-mla/engine';
import { pino } from 'pino';
import { afterAll, afterEach, expect } from 'vitest';
import { LocalBackend } from '../generate/local-backend.ts';
import { TextEngine } from '../generate/text-engine.ts';
import type { Grammars } from '../grammar/grammars.ts';
import type { ServerOptions } from '../options.ts';
import { Server } from '../server.ts';
import { ByteRunner, byteModel } from './byte-model.ts';

export interface Served {
  readonly url: string;
  readonly server: Server;
  readonly engine: TextEngine;
  readonly runner: ByteRunner;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
  /** Waits until no sequence runs or waits, and all pages are back. */
  idle(): Promise<void>;
}

const open: Server[] = [];
afterAll(async () => {
  for (const server of open) await server.close(0);
});

/** A server with the model of bytes on a free port; closed after the tests of the file. */
export async function serve(
  options: ServerOptions = {},
  engineOptions: Partial<EngineOptions> = {},
  grammars?: Grammars,
): Promise<Served> {
  // `SERVER_OVERLAP=off` runs all tests of the server with an engine that waits for each step.
  const overlap = process.env.SERVER_OVERLAP !== 'off';
  const sizes = { totalPages: 400, pageSize: 16, overlap, ...engineOptions };
  const runner = new ByteRunner(sizes);
  const settings = { maxModelLength: byteModel.maxModelLength, ...sizes };
  const engine = new TextEngine(byteModel, new LocalBackend(runner, settings, grammars));
  const logger = pino({ level: 'silent' });
  const server = new Server(engine, { port: 0, logger, ...options });
  open.push(server);
  const url = await server.listen();
  return {
    url,
    server,
    engine,
    runner,
    post: (path, body, init = {}) =>
      fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        ...init,
      }),
    async idle() {
      // Pages come back when the step in flight has answered.
      const { total } = engine.stats().pages;
      await expect
        .poll(() => engine.stats(), { timeout: 5000 })
        .toMatchObject({ running: 0, waiting: 0, pages: { free: total } });
    },
  };
}

/** After each test of a file the engine has to be idle again, with all pages. */
export function expectIdleAfterEach(served: () => Served): void {
  afterEach(() => served().idle());
}

/** The `data:` of a stream; what is no JSON stays text. */
export async function eventsOf(response: Response): Promise<unknown[]> {
  const text = await response.text();
  return text
    .split('\n\n')
    .filter((block) => block.includes('data: '))
    .map((block) => {
      const data = block.slice(block.indexOf('data: ') + 'data: '.length);
      return data === '[DONE]' ? data : JSON.parse(data);
    });
}
