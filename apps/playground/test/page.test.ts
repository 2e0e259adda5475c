import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { accessibilityProblems, expectText, fillEverySection, shifted } from './actions.ts';
import { swiftShader } from './chromium.ts';
import { absent, builtPage, launch, skipped } from './harness.ts';
import { deviceIsOpen, openPage } from './watched-page.ts';

describe.skipIf(absent)(`the built page in Chromium${skipped}`, () => {
  const harness = builtPage();

  it('is served isolated, under a strict policy', async () => {
    await harness.onPage('', async (page) => {
      const headers = (await page.request.get(harness.server.url)).headers();
      const policy = headers['content-security-policy'] ?? '';
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'");
      expect(policy).not.toMatch(/unsafe-inline|'unsafe-eval'|\*|https?:|data:|blob:/);
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
      await deviceIsOpen(page);
    });
  });

  it.each([
    ['a host that sends its headers', () => harness.server.url],
    ['a host that sends none, by the policy in the page', () => harness.server.plainUrl],
  ])('lets nothing inline run from %s (and the tests would notice)', async (_, url) => {
    const { page, complaints, close } = await openPage(harness.browser, url());
    await page.evaluate(() => {
      const script = document.createElement('script');
      script.textContent = 'globalThis.ran = true';
      document.head.append(script);
    });
    await expect.poll(() => complaints.join()).toContain('policy violated: script-src-elem inline');
    expect(await page.evaluate(() => 'ran' in globalThis)).toBe(false);
    await close();
  });

  it('loads at most 250 KB of compressed JavaScript until a device is open', async () => {
    const context = await harness.browser.newContext();
    const page = await context.newPage();
    const sizes: Promise<number>[] = [];
    page.on('response', (response) => {
      if (!new URL(response.url()).pathname.endsWith('.js')) return;
      sizes.push(response.body().then((body) => gzipSync(body).length));
    });
    await page.goto(`${harness.server.url}?device=webgpu`);
    await deviceIsOpen(page);
    const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    console.log(
      `first load: ${(bytes / 1024).toFixed(0)} KB of JavaScript in ${sizes.length} files`,
    );
    expect(sizes.length).toBeGreaterThanOrEqual(3);
    expect(bytes).toBeLessThan(250 * 1024);
    await context.close();
  });

  it('is quick: usable at once, the device open and its first result soon after', async () => {
    // The best of three loads: other tests use the same two cores, which only adds to the times.
    let [interactive, result] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let load = 0; load < 3 && !(interactive < 1000 && result < 1500); load++) {
      await harness.onPage('?device=webgpu', async (page) => {
        const usable = await page.evaluate(async () => {
          const isReady = () => document.querySelector('#self-test button') !== null;
          while (!isReady()) await new Promise((resolve) => setTimeout(resolve, 5));
          return performance.now();
        });
        await deviceIsOpen(page);
        const [open, first] = await page
          .locator('.open-device p b')
          .evaluateAll((all) => all.map((each) => each.textContent ?? ''));
        const ms = (text = '') => Number.parseFloat(text) * (text.endsWith(' ms') ? 1 : 1000);
        console.log(
          `interactive after ${usable.toFixed(0)} ms; WebGPU on SwiftShader open after ${open}, first result after another ${first}`,
        );
        interactive = Math.min(interactive, usable);
        result = Math.min(result, ms(open) + ms(first));
      });
    }
    // Twice the budgets of 1 s and 1.5 s, for the same reason.
    expect(interactive).toBeLessThan(2000);
    expect(result).toBeLessThan(3000);
  });

  it('says what was detected and why something is missing', async () => {
    await harness.onPage('?device=webgpu', async (page) => {
      await deviceIsOpen(page);
      await expectText(page, '.open-device', /swiftshader.*subgroup sizes/s);
      await page.getByText('Not here: CUDA').click();
      await expectText(page, '.missing', /Simulated NVIDIA GPU.*unsafe-eval/s);
      await page.getByText(/What the browser says: \d+ limits/).click();
      await expectText(page, '.adapter', /maxComputeWorkgroupStorageSize.*16,384/s);
      await expectText(page, '.adapter', /cross-origin isolated, so its \d+ threads can share/);
      await page.getByLabel('CPU threads').check();
      await deviceIsOpen(page);
      await expectText(page, '.open-device', /shared memory\s*yes\s*relaxed SIMD\s*yes/);
      await page.getByLabel('Threads', { exact: true }).fill('0');
      await expectText(page, '.facts', /threads\s*1shared/);
    });
  });

  it('leaves the page’s own thread free while it decodes', async () => {
    await harness.onPage('?device=cpu&heads=128&tokens=2048', async (page) => {
      await deviceIsOpen(page);
      await page.getByRole('button', { name: 'Decode' }).click();
      await expectText(page, '#loop-status', 'Decoding', 30_000);
      const longest = await page.evaluate(async () => {
        const tasks: number[] = [];
        const observer = new PerformanceObserver((list) => {
          tasks.push(...list.getEntries().map(({ duration }) => duration));
        });
        observer.observe({ type: 'longtask' });
        await new Promise((resolve) => setTimeout(resolve, 2000));
        observer.disconnect();
        return Math.max(0, ...tasks);
      });
      console.log(`longest task of the page while it decodes: ${longest.toFixed(0)} ms`);
      expect(longest).toBeLessThan(300);
    });
  });

  it('moves once a second for those who asked for less motion', async () => {
    const changes = async (reducedMotion: 'reduce' | 'no-preference') => {
      let count = 0;
      await harness.onPage(
        '?device=cpu&tokens=64',
        async (page) => {
          await deviceIsOpen(page);
          await page.getByRole('button', { name: 'Decode' }).click();
          await expectText(page, '#loop-status', 'Decoding', 30_000);
          count = await page.locator('#figures').evaluate(async (figures) => {
            const times = new Set<number>();
            const observer = new MutationObserver(() => times.add(performance.now()));
            observer.observe(figures, { subtree: true, characterData: true, childList: true });
            await new Promise((resolve) => setTimeout(resolve, 2500));
            return times.size;
          });
        },
        { reducedMotion },
      );
      return count;
    };
    expect(await changes('reduce')).toBeLessThanOrEqual(3);
    expect(await changes('no-preference')).toBeGreaterThan(8);
  });

  it('keeps the settings in the link', async () => {
    const query =
      '?device=cpu&threads=1&layout=v32&batch=8&heads=64&tokens=512&spread=0&topk=128&page=16&example=prefill_512&suite=full&filter=dense+f16';
    await harness.onPage(query, async (page) => {
      await deviceIsOpen(page);
      expect(await page.locator('select').inputValue()).toBe('prefill_512');
      expect(await page.getByLabel('Only cases with these words').inputValue()).toBe('dense f16');
      await expectText(
        page,
        '#decode .controls',
        /Requests\s*8\s*Query heads\s*64\s*Longest prompt\s*512 tokens/,
      );
      expect(await page.getByLabel('v32').isChecked()).toBe(true);
      await page.getByLabel('Page', { exact: true }).press('ArrowRight');
      const changed = query.replace('page=16', 'page=32');
      await expect.poll(() => new URL(page.url()).search).toBe(changed);
      await page.reload();
      await deviceIsOpen(page);
      await expectText(page, '#decode .controls', /Page\s*32 tokens/);
      expect(new URL(page.url()).search).toBe(changed);
    });
    await harness.onPage(
      '?heads=32',
      async (page) => {
        await page.getByRole('button', { name: 'Share settings' }).click();
        await expectText(page, '.tools .said', 'Link copied');
        const copied = await page.evaluate(() => navigator.clipboard.readText());
        expect(copied).toBe(`${harness.server.url}?heads=32`);
      },
      { permissions: ['clipboard-read', 'clipboard-write'] },
    );
    await harness.onPage('?heads=17', async (page) => {
      await expectText(page, 'main > [role=alert]', /heads is “17” instead of 1, 2, 4/);
    });
  });

  it('works on a phone, and has no accessibility problem there or anywhere', async () => {
    for (const [width, colorScheme] of [
      [360, 'dark'],
      [1280, 'light'],
      [1280, 'dark'],
    ] as const) {
      const options = { viewport: { width, height: 780 }, colorScheme };
      await harness.onPage(
        '?device=cpu&tokens=128',
        async (page) => {
          await deviceIsOpen(page);
          await fillEverySection(page);
          expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
          for (const table of ['.operations', '#cases', '#comparisons']) {
            // Results still arrive meanwhile.
            await expect.poll(() => shifted(page, table)).toBe(0);
          }
          expect(await accessibilityProblems(page)).toEqual([]);
        },
        options,
      );
    }
  }, 90_000);

  it('can be used by keyboard alone', async () => {
    await harness.onPage('?device=cpu&tokens=64', async (page) => {
      await deviceIsOpen(page);
      await page.keyboard.press('Tab');
      expect(await page.evaluate(() => document.activeElement?.textContent)).toContain('Skip to');
      await page.getByRole('radio', { name: 'bf16' }).focus();
      await page.keyboard.press('ArrowRight');
      expect(await page.getByLabel('v32').isChecked()).toBe(true);
      for (let i = 0; i < 7; i++) await page.keyboard.press('Tab');
      expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Decode');
      await page.keyboard.press('Enter');
      await expectText(page, '#loop-status', 'Decoding', 30_000);
    });
  });

  it('says that the GPU is lost and opens it again', async () => {
    const own = await launch(swiftShader);
    const watched = await openPage(own, `${harness.server.url}?device=webgpu&tokens=64&heads=4`);
    const { page } = watched;
    try {
      await deviceIsOpen(page);
      await page.getByRole('button', { name: 'Decode' }).click();
      await expectText(page, '#loop-status', 'Decoding', 30_000);
      const session = await own.newBrowserCDPSession();
      await session.send('Browser.crashGpuProcess');
      await expectText(page, '.open-device', /DeviceLostError.*Open it again/s);
      await page.getByRole('button', { name: 'Open it again' }).click();
      await deviceIsOpen(page);
    } finally {
      await own.close();
    }
  });

  it('works on one thread where its host does not isolate it', async () => {
    const { page, complaints, close } = await openPage(
      harness.browser,
      `${harness.server.plainUrl}?device=cpu`,
    );
    await deviceIsOpen(page);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
    await expectText(page, '.facts', /threads\s*1shared memory\s*no/);
    await expectText(page, '.adapter', /not cross-origin isolated.*must send/);
    await page.getByLabel('Only cases with these words').fill('page=');
    await page.getByRole('button', { name: /^Run \d+ case/ }).click();
    await expectText(page, '#test-status', /none failed$/);
    expect(complaints).toEqual([]);
    await close();
  });

  it('goes on without WebGPU and says why it is missing', async () => {
    const plain = await launch(['--disable-features=WebGPU']);
    const watched = await openPage(plain, harness.server.url);
    try {
      await deviceIsOpen(watched.page);
      await expectText(watched.page, '.missing', /WebGPU\s*There is no (WebGPU here|adapter)/);
      expect(await watched.page.getByLabel('CPU threads').isChecked()).toBe(true);
      expect(watched.complaints).toEqual([]);
    } finally {
      await plain.close();
    }
  });
});
