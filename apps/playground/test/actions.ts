/** What the tests do to a page and ask of it. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';

/** Waits until the text of an element is, or matches, what is expected. */
export async function expectText(
  page: Page,
  selector: string,
  text: string | RegExp,
  timeout = 15_000,
): Promise<void> {
  const first = page.locator(selector).first();
  const read = async () => (await first.textContent({ timeout }))?.trim();
  const expectation = expect.poll(read, { timeout, interval: 50 });
  await (typeof text === 'string' ? expectation.toBe(text) : expectation.toMatch(text));
}

/** Drops a file as a hand would. */
export async function drop(page: Page, path: string): Promise<void> {
  const name = path.split('/').at(-1) as string;
  const data = readFileSync(path).toString('base64');
  const transfer = await page.evaluateHandle(
    ([fileName, base64]) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const held = new DataTransfer();
      held.items.add(new File([bytes], fileName));
      return held;
    },
    [name, data] as const,
  );
  await page.dispatchEvent('#case-file .drop', 'dragover', { dataTransfer: transfer });
  await page.dispatchEvent('#case-file .drop', 'drop', { dataTransfer: transfer });
}

/** How many colours the error map has. */
export function colours(page: Page): Promise<number> {
  return page.locator('.error-map canvas').evaluate((canvas) => {
    const map = canvas as HTMLCanvasElement;
    const pixels = map.getContext('2d')?.getImageData(0, 0, map.width, map.height).data;
    return new Set(new Uint32Array(pixels?.buffer ?? new ArrayBuffer(0))).size;
  });
}

/** Something to see in every section. */
export async function fillEverySection(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Decode' }).click();
  await expectText(page, '#loop-check', /^✓/, 30_000);
  await page.getByRole('button', { name: 'Run this example' }).click();
  await expectText(page, '#map-summary', /largest error/);
  await page.getByLabel('Only cases with these words').fill('page=');
  await page.getByRole('button', { name: /^Run \d+ cases/ }).click();
  await expectText(page, '#test-status', /none failed$/);
  await page.locator('details').evaluateAll((all) => {
    for (const details of all) (details as HTMLDetailsElement).open = true;
  });
}

/** By how many pixels cells of a table stand beside the heads of their columns. */
export function shifted(page: Page, table: string): Promise<number> {
  return page.locator(table).evaluate((element) => {
    const { tHead, tBodies } = element as HTMLTableElement;
    const lefts = (row: HTMLTableRowElement | undefined) =>
      [...(row?.cells ?? [])].map((cell) => cell.getBoundingClientRect().left);
    const heads = lefts(tHead?.rows[0]).slice(0, 3);
    const cells = [...(tBodies[0]?.rows ?? [])].map(lefts);
    return Math.max(...cells.flatMap((row) => heads.map((left, i) => Math.abs(left - row[i]))));
  });
}

/** What axe finds wrong with the page as it stands. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: typeof import('axe-core') };
    const { violations } = await axe.run(document, { resultTypes: ['violations'] });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`),
    );
  });
}
