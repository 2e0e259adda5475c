import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { accessibilityProblems, expectText } from './actions.ts';
import type { Harness } from './harness.ts';
import { deviceIsOpen } from './watched-page.ts';

const tales = fileURLToPath(new URL('../../../packages/tales/', import.meta.url));

/** What the demo model says to it in float32, word for word. */
const duck =
  'Once upon a time there was a cheerful duck named Emil, who lived in a snowy village. One day Emil found a heavy stone.';

const answer = (page: Page) => page.locator('.turn.assistant').last();

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message to the model').fill(text);
  await page.keyboard.press('Enter');
}

/** The tests of the chat, on a page that others use too: a build of its own would take longer than they do. */
export function chatTests(harness: Harness): void {
  it('answers on the processor’s threads, in a conversation, and stops when asked', async () => {
    await harness.onPage('?device=cpu', async (page) => {
      await deviceIsOpen(page);
      await say(page, 'Tell me a tale with a duck.');
      await expectText(page, '#chat-status', /^Answered, \d+ tokens$/, 30_000);
      expect(await answer(page).textContent()).toContain(duck);
      await expectText(page, '#chat-figures', /Generated[\d.]+tokens\/s\d+ tokens/);
      expect(await page.locator('#chat').getByRole('button', { name: 'Stop' }).count()).toBe(0);

      // The model sees what was said before, and its thoughts are told from what it says.
      await say(page, 'Where did Emil live?');
      await expectText(page, '#chat-status', /^Answered/);
      expect(await answer(page).textContent()).toContain('snowy village');
      await page.getByRole('button', { name: 'New conversation' }).click();
      await page.getByRole('button', { name: 'Add 20 and 31.' }).click();
      await expectText(page, '#chat-status', /^Answered/);
      expect(await answer(page).locator('.thought').textContent()).toContain('20 plus 30 is 50');
      expect(await answer(page).locator('.answer').textContent()).toContain('51');

      await page.getByLabel('Temperature').fill('10');
      await page.getByLabel(/^Seed/).fill('7');
      await page.getByLabel(/^Seed/).press('Tab');
      await page.getByRole('button', { name: 'New conversation' }).click();
      await say(page, 'Tell me a tale with a duck.');
      await page.locator('.turn.assistant p').waitFor();
      await page.locator('#chat').getByRole('button', { name: 'Stop' }).click();
      await expectText(page, '#chat-status', /^(Stopped|Answered), \d+ tokens$/);
      await expect.poll(() => new URL(page.url()).search).toBe('?device=cpu&temperature=1&seed=7');
    });
  }, 60_000);

  it('answers on WebGPU, with the same words', async () => {
    await harness.onPage('?device=webgpu&answer=16', async (page) => {
      await deviceIsOpen(page);
      await page.getByRole('button', { name: 'Tell me a tale with a duck.' }).click();
      const said = async () => (await answer(page).textContent()) ?? '';
      // A token at a time: the first ones are there while the others are still computed.
      await expect.poll(said, { timeout: 40_000 }).toMatch(/Model: Once upon/);
      await expectText(page, '#chat-status', 'Answering …');
      await page.locator('#chat').getByRole('button', { name: 'Stop' }).click();
      await expectText(page, '#chat-status', /^Stopped, \d+ tokens$/, 30_000);
      const text = (await said()).replace('Model: ', '').replace('stopped', '');
      expect(duck.startsWith(text)).toBe(true);
    });
  }, 90_000);

  it('takes a folder of the user’s, and says what is wrong with one', async () => {
    await harness.onPage(
      '?device=cpu&answer=16',
      async (page) => {
        await deviceIsOpen(page);
        const folder = page.locator('#chat input[type=file]');
        await folder.setInputFiles(tales);
        await expectText(page, '#chat-model', 'tales');
        await say(page, 'Tell me a tale with a duck.');
        await expectText(page, '#chat-status', 'Answered, cut, 16 tokens', 30_000);
        expect(await answer(page).textContent()).toContain('Once upon a time');
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
        expect(await accessibilityProblems(page)).toEqual([]);

        await folder.setInputFiles(fileURLToPath(new URL('.', import.meta.url)));
        await say(page, 'Hello');
        await expectText(page, '#chat [role=alert]', /ModelConfigError.*config\.json/s);
        await expectText(page, '#chat-status', 'Failed');
        // The page goes on with the model that it has.
        await page.getByRole('button', { name: 'Back to the demo model' }).click();
        await say(page, 'Hello');
        await expectText(page, '#chat-status', /^Answered/, 30_000);
      },
      { viewport: { width: 360, height: 780 }, colorScheme: 'dark' },
    );
  }, 60_000);
}
