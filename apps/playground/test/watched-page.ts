import type { Browser, BrowserContextOptions, Page } from 'playwright-core';

/** A page of a browser, and everything that it complained about. */
export interface WatchedPage {
  readonly page: Page;
  /** Errors and warnings of the console (violations of the policy among them), exceptions, failed loads. */
  readonly complaints: string[];
  close(): Promise<void>;
}

export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('requestfailed', (request) => {
    const why = request.failure()?.errorText ?? 'failed';
    // A page that is left or loaded anew drops what it was still loading.
    if (why !== 'net::ERR_ABORTED') complaints.push(`${request.url()}: ${why}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`${response.url()}: HTTP ${response.status()}`);
  });
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
      console.error(`policy violated: ${violatedDirective} ${blockedURI}`);
    });
  });
  await page.goto(url);
  return { page, complaints, close: () => context.close() };
}

/** Waits until the device is open and its first decode is right. */
export async function deviceIsOpen(page: Page): Promise<void> {
  await page.locator('#first-decode', { hasText: 'right' }).waitFor({ timeout: 30_000 });
}
