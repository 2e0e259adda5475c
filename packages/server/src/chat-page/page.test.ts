import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Served, serve } from '../testing/serve.ts';

const paths = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];
const executablePath = paths.find((path) => existsSync(path));
if (executablePath === undefined && process.env.FLASH_MLA_REQUIRE?.includes('chromium'))
  throw new Error(`no Chromium at ${paths.join(', ')}`);

describe.skipIf(executablePath === undefined)('the chat page in Chromium', () => {
  let served: Served;
  let browser: Browser;
  beforeAll(async () => {
    served = await serve();
    browser = await chromium.launch({
      executablePath: executablePath ?? '',
      args: ['--no-sandbox'],
    });
  });
  afterAll(() => browser?.close());

  /** Opens the page; what the browser complains about goes into a list. */
  async function open(viewport = { width: 1000, height: 700 }, url = served.url) {
    const context = await browser.newContext({ viewport });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(url);
    return { page, complaints, close: () => context.close() };
  }
  const say = async (page: Page, text: string) => {
    await page.getByLabel('Message').fill(text);
    await page.getByLabel('Message').press('Enter');
  };

  it('streams answers with thoughts and facts, and nothing breaks its policy', async () => {
    const { close, complaints, page } = await open();
    await page.getByText('Ready.').waitFor();
    expect(await page.title()).toBe('bytes · Chat');
    await page.getByText('Settings').click();
    await page.getByLabel('Temperature').fill('0');
    await say(page, 'say:<think>a plan</think>Hello <b>you</b>!');
    const log = page.getByRole('log');
    await log.getByText('Hello <b>you</b>!', { exact: false }).last().waitFor();
    await log.getByText(/tokens\/s/).waitFor();
    expect(await log.locator('b').count()).toBe(0);
    const thoughts = log.locator('details');
    expect(await thoughts.getAttribute('open')).toBeNull();
    await thoughts.locator('summary').click();
    await log.getByText('a plan', { exact: true }).waitFor();
    await say(page, 'say:Second.');
    await log.getByText('Second.', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'New chat' }).click();
    expect(await log.textContent()).toBe('');
    expect(complaints).toEqual([]);
    await close();
  });

  it('stops, and shows errors', async () => {
    served.runner.stepMs = 5;
    const { close, page } = await open();
    await say(page, `say:${'word '.repeat(300)}`);
    await page.getByText('Answering …').waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor();
    served.runner.stepMs = 0;
    await served.idle();
    await say(page, 'x'.repeat(5000));
    await page
      .getByRole('alert')
      .getByText(/too long/)
      .waitFor();
    await close();
  });

  it('asks for a key where the server wants one', async () => {
    const locked = await serve({ apiKeys: ['secret'] });
    const { close, page } = await open(undefined, locked.url);
    await page.getByText(/wants an API key/).waitFor();
    await page.getByLabel('API key').fill('secret');
    await page.getByLabel('API key').press('Tab');
    await page.getByText('Ready.').waitFor();
    await close();
  });

  it('fits a phone', async () => {
    const { close, page } = await open({ width: 360, height: 640 });
    await page.getByText('Ready.').waitFor();
    await say(page, `say:${'a long word '.repeat(30)}${'x'.repeat(200)}`);
    await page.getByText(/tokens\/s/).waitFor();
    const width = await page.evaluate('document.documentElement.scrollWidth');
    expect(width).toBeLessThanOrEqual(360);
    const send = await page.getByRole('button', { name: 'Send' }).boundingBox();
    expect(send?.height).toBeGreaterThanOrEqual(44);
    expect((send?.y ?? 0) + (send?.height ?? 0)).toBeLessThanOrEqual(640);
    if (process.env.FLASH_MLA_SCREENSHOTS)
      await page.screenshot({ path: `${process.env.FLASH_MLA_SCREENSHOTS}/phone.png` });
    await close();
  });

  it('has a policy that allows nothing else, and can be left out', async () => {
    const response = await fetch(served.url);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect((await fetch(`${served.url}/chat/..%2fpage.js`)).status).toBe(404);
    const bare = await serve({ chatPage: false });
    expect((await fetch(bare.url)).status).toBe(404);
  });
});
