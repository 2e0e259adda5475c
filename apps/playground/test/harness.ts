import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';
import { type BuiltPage, serveBuiltPage } from './built-page.ts';
import { chromiumPath, missingChromium, swiftShader } from './chromium.ts';
import { openPage } from './watched-page.ts';

/** Why the tests of the page cannot run, and how the names of their suites end. */
export const absent = missingChromium();
export const skipped = absent ? `, skipped: ${absent}` : '';

export function launch(args: readonly string[]): Promise<Browser> {
  return chromium.launch({
    ...(chromiumPath && { executablePath: chromiumPath }),
    args: [...args],
  });
}

/** The built page and a browser with WebGPU on SwiftShader, for the tests of a suite. */
export interface Harness {
  readonly server: BuiltPage;
  readonly browser: Browser;
  /** Runs a test on a page of its own; whatever the page complains about fails it. */
  onPage(
    query: string,
    test: (page: Page) => Promise<void>,
    options?: Parameters<typeof openPage>[2],
  ): Promise<void>;
}

/** To be called in a suite: builds and serves the page before its tests. */
export function builtPage(): Harness {
  let server: BuiltPage | undefined;
  let browser: Browser | undefined;
  beforeAll(async () => {
    [server, browser] = await Promise.all([serveBuiltPage(), launch(swiftShader)]);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });
  return {
    get server() {
      if (!server) throw new Error('The page is not served yet.');
      return server;
    },
    get browser() {
      if (!browser) throw new Error('The browser is not there yet.');
      return browser;
    },
    async onPage(query, test, options = {}) {
      const { page, complaints, close } = await openPage(
        this.browser,
        `${this.server.url}${query}`,
        options,
      );
      try {
        await test(page);
        expect(complaints).toEqual([]);
      } finally {
        await close();
      }
    },
  };
}
