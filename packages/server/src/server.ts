import type { Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { TextEngine } from './generate/text-engine.ts';
import { Admission } from './http/admission.ts';
import { createApp } from './http/app.ts';
import type { ServerContext } from './http/context.ts';
import { type ResolvedServerOptions, resolveServerOptions, type ServerOptions } from './options.ts';
import { Metrics } from './telemetry/metrics.ts';

/** An OpenAI-compatible server over an engine. */
export class Server {
  readonly options: ResolvedServerOptions;
  readonly #context: ServerContext;
  readonly #http: HttpServer;
  readonly #aborted: Promise<void>;
  #abort: () => void = () => {};
  #closing: Promise<void> | undefined;

  /** @throws ServerOptionError */
  constructor(engine: TextEngine, options: ServerOptions = {}) {
    this.options = resolveServerOptions(options);
    this.#aborted = new Promise((resolve) => {
      this.#abort = resolve;
    });
    const admission = new Admission(this.options.maxConcurrentPerKey);
    const metrics = new Metrics(engine.model.id, engine);
    const created = Math.floor(Date.now() / 1e3);
    this.#context = { engine, options: this.options, metrics, admission, created };
    const server = createAdaptorServer({
      fetch: createApp(this.#context).fetch,
      // Longer than load balancers keep connections, so that they never write into a closed one.
      serverOptions: { keepAliveTimeout: 75_000, headersTimeout: 80_000, requestTimeout: 300_000 },
      overrideGlobalObjects: false,
    });
    this.#http = server as HttpServer;
  }

  /** Opens the port. @returns the address as a URL */
  async listen(): Promise<string> {
    const { host, port } = this.options;
    await new Promise<void>((resolve, reject) => {
      this.#http.once('error', reject);
      this.#http.listen(port, host, resolve);
    });
    return this.url;
  }

  get url(): string {
    const { address, family, port } = this.#http.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  /**
   * Shuts down: new requests get 503, those that run may end within `shutdownTimeoutMs`, the rest is
   * ended with an error. Closes the engine too.
   */
  close(timeoutMs = this.options.shutdownTimeoutMs): Promise<void> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  /** Ends what runs at once; after `close`, it ends the waiting. */
  abort(): Promise<void> {
    this.#abort();
    return this.close(0);
  }

  async #close(timeoutMs: number): Promise<void> {
    const { admission, engine, metrics } = this.#context;
    await Promise.race([admission.drain(timeoutMs), this.#aborted]);
    await engine.close();
    metrics.close();
    // What was told of the end has left the process before its connections are cut.
    await admission.drain(1000);
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    this.#http.closeIdleConnections();
    setTimeout(() => this.#http.closeAllConnections(), 1000).unref();
    await closed;
  }
}
