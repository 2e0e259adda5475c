import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { selectCases } from 'flash-mla/cases';
import { describe, expect, it } from 'vitest';
import { colours, drop, expectText } from './actions.ts';
import { chatTests } from './chat-tests.ts';
import { absent, builtPage, skipped } from './harness.ts';
import { deviceIsOpen } from './watched-page.ts';

const vectors = new URL('../../../packages/flash-mla/vectors/', import.meta.url);
const caseFile = (name: string) => fileURLToPath(new URL(`${name}.safetensors`, vectors));

describe.skipIf(absent)(`what the built page runs in Chromium${skipped}`, () => {
  const harness = builtPage();

  chatTests(harness);

  // Some of every family: that the kernels are right on these devices is what the conformance tests of the
  // library prove, with all cases. Here the page runs them, in the browser's own WebGPU and threads.
  it.each([
    [
      'WebGPU with all features',
      '?device=webgpu',
      [
        'decode graph',
        'prefill graph',
        'e4m3 descales',
        'linear graph',
        'quantize v32',
        'schedule',
      ],
    ],
    [
      'WebGPU with default limits',
      '?device=webgpu&limits=default',
      ['decode graph', 'linear graph', 'quantize model1'],
    ],
    [
      'CPU threads',
      '?device=cpu',
      [
        'graph',
        'quantize',
        'schedule',
        'keys',
        'mqa',
        'batched',
        'rope half',
        'varlen-attention gap=1',
      ],
    ],
  ])(
    'passes the self-test: %s',
    async (_, query, filters) => {
      await harness.onPage(query, async (page) => {
        await deviceIsOpen(page);
        const withStatus = (status: RegExp) => page.locator('#cases td', { hasText: status });
        const backend = query.startsWith('?device=cpu') ? 'cpu' : 'webgpu';
        let cases = 0;
        // The table holds the cases of the last run only, so each run is judged before the next one.
        for (const filter of filters) {
          await page.getByLabel('Only cases with these words').fill(filter);
          await page.getByRole('button', { name: /^Run \d+ case/ }).click();
          await expectText(page, '#test-status', /^\d+ cases? in [\d.]+ s, none failed$/, 60_000);
          const wanted = selectCases({ filter });
          const leftOut = wanted.filter(({ excluded }) => excluded?.[backend] !== undefined);
          expect(Number(await page.locator('progress').getAttribute('max'))).toBe(wanted.length);
          expect(await withStatus(/^failed$/).count()).toBe(0);
          expect(await withStatus(/^excluded$/).count()).toBe(leftOut.length);
          cases += wanted.length;
        }
        console.log(`${query}: ${cases} cases`);
        await page.locator('summary', { hasText: 'Each case' }).click();
        expect(await page.locator('#cases td').first().isVisible()).toBe(true);
      });
    },
    90_000,
  );

  it('finds kernels that are wrong, and says where', async () => {
    const [add, subtract] = [Buffer.from('fde401', 'hex'), Buffer.from('fde501', 'hex')];
    const context = await harness.browser.newContext();
    await context.route(/\/cpu-(plain|relaxed)-[^/]*\.js$/, async (route) => {
      const response = await route.fetch();
      const module = await response.text();
      const base64 = /[\w+/=]{10000,}/.exec(module)?.[0] ?? '';
      const kernels = Buffer.from(base64, 'base64');
      // Every f32x4.add becomes f32x4.sub.
      for (let at = kernels.indexOf(add); at >= 0; at = kernels.indexOf(add, at)) {
        subtract.copy(kernels, at);
      }
      await route.fulfill({ response, body: module.replace(base64, kernels.toString('base64')) });
    });
    const page = await context.newPage();
    await page.goto(`${harness.server.url}?device=cpu&filter=dense-decode+b=1`);
    await expectText(page, '#first-decode', '✗ wrong');
    await page.getByRole('button', { name: /^Run \d+ cases/ }).click();
    await expectText(page, '#test-status', /^\d+ cases in [\d.]+ s, [1-9]\d* failed$/);
    const first = page.locator('.failures tbody tr').first();
    expect(await first.locator('th').textContent()).toMatch(/^dense-decode b=1/);
    expect(await first.locator('td').textContent()).toMatch(
      /out differs from reference: first out\[/,
    );
    expect(await page.locator('.squares i.failed').count()).toBeGreaterThan(0);
    await page.getByRole('button', { name: 'Decode' }).click();
    await expectText(page, '#loop-check', /^✗ Step 1.*beyond FlashMLA’s own bounds/, 30_000);
    await context.close();
  });

  it('stops a self-test when asked', async () => {
    await harness.onPage('?device=cpu&suite=full&filter=dense', async (page) => {
      await deviceIsOpen(page);
      await page.getByRole('button', { name: /^Run [\d,]+ cases/ }).click();
      await page.locator('.squares i').first().waitFor();
      await page.locator('#self-test').getByRole('button', { name: 'Stop' }).click();
      await expectText(page, '#test-status', /^Stopped after [\d,]+ cases?, none failed$/);
    });
  });

  it('runs a dropped case file and shows where its errors are', async () => {
    await harness.onPage('?device=cpu', async (page) => {
      await deviceIsOpen(page);
      await drop(page, caseFile('dense_causal_gqa'));
      await expectText(page, '#case-status', 'dense_causal_gqa: all answers agree');
      expect(await page.locator('#comparisons tbody tr').count()).toBe(4);
      await expectText(page, '#map-summary', /largest error [\d.]+e-\d.*none beyond the bounds/);
      expect(await colours(page)).toBeGreaterThan(50);

      // The map of FlashMLA's own output, of another request, against the rounded answer.
      const before = await page.locator('#map-summary').textContent();
      await page.getByLabel('FlashMLA, H200').check();
      await expect.poll(() => page.locator('#map-summary').textContent()).not.toBe(before);
      await page.getByLabel('Query', { exact: true }).fill('1');
      await page.getByLabel('the file’s answer').check();
      await expectText(page, '#map-summary', /none beyond the bounds/);

      await page.getByLabel('Head', { exact: true }).fill('3');
      await page.getByLabel('Column', { exact: true }).fill('17');
      const probed = await page.locator('#probe').textContent();
      expect(probed).toMatch(/^-?[\d.e-]+, expected -?[\d.e-]+: off by [\d.e-]+ ✓$/);
      await page.locator('.error-map canvas').click({ position: { x: 5, y: 5 } });
      expect(await page.getByLabel('Head', { exact: true }).inputValue()).toBe('0');
    });
  });

  it('runs an example on WebGPU and every other file from the file dialog', async () => {
    await harness.onPage('?device=webgpu&example=prefill_576', async (page) => {
      await deviceIsOpen(page);
      await page.getByRole('button', { name: 'Run this example' }).click();
      await expectText(page, '#case-status', 'prefill_576: all answers agree', 30_000);
      await page
        .locator('#case-file input[type=file]')
        .setInputFiles(caseFile('sparse_v32_invalid'));
      await expectText(page, '#case-status', 'sparse_v32_invalid: all answers agree', 30_000);
    });
  });

  it('says what is wrong with a file, and with its answers', async () => {
    await harness.onPage('?device=cpu', async (page) => {
      await deviceIsOpen(page);
      const input = page.locator('#case-file input[type=file]');
      const bytes = readFileSync(caseFile('sparse_v32'));
      await input.setInputFiles({
        name: 'cut.safetensors',
        mimeType: 'application/octet-stream',
        buffer: bytes.subarray(0, 5000),
      });
      await expectText(page, '#case-file [role=alert]', /FileFormatError.*cut\.safetensors/s);

      // One element of the expected output, far off.
      const wrong = Buffer.from(bytes);
      const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString());
      const begin = 8 + Number(bytes.readBigUInt64LE(0)) + header['expected.out'].data_offsets[0];
      wrong.writeUInt16LE(0x4120, begin + 2 * (5 * 512 + 100)); // bf16 10.0 at head 5, column 100
      await input.setInputFiles({
        name: 'wrong.safetensors',
        mimeType: 'application/octet-stream',
        buffer: wrong,
      });
      await expectText(page, '#case-status', 'wrong: answers differ');
      await expectText(page, '#comparisons', /✗ differs/);
      await page.getByLabel('the file’s answer').check();
      await page.getByLabel('Request', { exact: true }).fill('0');
      await expectText(page, '#map-summary', /at head 5, column 100.*1 beyond the bounds/);
      await expectText(page, '#probe', /expected 10\.000: off by .* ✗/);
    });
  });

  it('decodes under the sliders and draws the roofline', async () => {
    await harness.onPage('?device=cpu&tokens=256', async (page) => {
      await deviceIsOpen(page);
      await page.getByRole('button', { name: 'Decode' }).click();
      await expectText(page, '#loop-check', /^✓ Step 1/, 30_000);
      await expectText(page, '#figures', /[\d.]+\s*tokens\/s.*G\s*FLOP\/s/s);
      await expectText(page, '#figures', /bound by (memory|arithmetic)/);
      await expectText(page, '.roofline', /multiply-add [\d.]+ GFLOP\/s/);
      await expectText(page, '.roofline', /read [\d.]+ GB\/s/);
      for (const layout of ['v32', 'model1']) {
        await page.getByLabel(layout).check();
        await expectText(page, '.roofline .now', new RegExp(`${layout}, 16 heads`));
        await expectText(page, '#loop-check', /^✓ Step 1/);
      }
      await page.getByLabel('Query heads').press('ArrowRight');
      await expectText(page, '.roofline .now', /model1, 32 heads/);
      expect(await page.locator('.roofline .mark').count()).toBe(4);
      await page.getByText('The points as a table').click();
      expect(await page.locator('.plot tbody tr').count()).toBe(4);
      await expectText(page, '.pages', /\d+ pages of \d+ in use by 4 requests/);
      await expect.poll(() => new URL(page.url()).search).toContain('heads=32');

      // Another task takes the device: the loop ends by itself.
      await page.getByRole('button', { name: 'Run this example' }).click();
      await expectText(page, '#case-status', /all answers agree/);
      await expectText(page, '#loop-status', /^Stopped/);
    });
  });

  it('decodes on WebGPU, default limits included', async () => {
    await harness.onPage(
      '?device=webgpu&limits=default&tokens=64&heads=4&batch=2',
      async (page) => {
        await deviceIsOpen(page);
        await page.getByRole('button', { name: 'Decode' }).click();
        await expectText(page, '#loop-check', /^✓ Step 1/, 40_000);
        await expectText(page, '#figures', /Share of the roof[\d.]+ %bound by (memory|arithmetic)/);
        await expectText(
          page,
          '.roofline',
          /read [\d.]+ [GM]B\/s.*multiply-add [\d.]+ [GM]FLOP\/s/,
        );
        await expectText(page, '#loop-status', 'Decoding');
        await page.getByRole('button', { name: 'Stop' }).first().click();
        await expectText(page, '#loop-status', /^Stopped/);
      },
    );
  });

  it('says what does not fit the device', async () => {
    await harness.onPage('?device=cpu&batch=128&tokens=32768&spread=0', async (page) => {
      await deviceIsOpen(page);
      await page.getByRole('button', { name: 'Decode' }).click();
      await expectText(page, '#decode .controls [role=alert]', /OutOfMemoryError/, 30_000);
      await expectText(page, '#decode .controls', /Cache: 4\.\d+ GiB/);
      await page.getByLabel('Longest prompt').fill('0');
      await page.getByRole('button', { name: 'Decode' }).click();
      await expectText(page, '#loop-status', 'Decoding', 30_000);
    });
  });
});
