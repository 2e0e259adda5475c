import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeSafetensors, openSafetensors } from '@flash-mla/safetensors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataPath, tinyConfig } from '../../../models/src/testing/data.ts';
import { binary, runCli } from './testing/run-cli.ts';

const reference = fileURLToPath(
  new URL('../../../models/test-data/tales/reference.safetensors', import.meta.url),
);
const tales = fileURLToPath(new URL('../../../tales', import.meta.url));

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'flash-mla-models-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('generate', () => {
  it('answers a question, and gives numbers on stderr', async () => {
    const { code, stdout, stderr } = await runCli(['generate', '--prompt', 'Add 2 and 3.']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/2 plus 3 is 5\.\n$/),
    });
    expect(stderr).toMatch(/^\d+ tokens \(stop\), [\d.]+ tokens\/s; \d+ of the prompt/);
  });

  it('goes on with token ids as recorded, and prints JSON only', async () => {
    const answers = await openSafetensors(reference);
    const { data: ids } = await answers.read('1.input_ids', 'i32');
    const { data: greedy } = await answers.read('1.greedy', 'i32');
    await answers.close();
    const { stdout } = await runCli(['generate', tales, '--prompt-ids', ids.join(), '--json']);
    const answer = JSON.parse(stdout);
    const end = greedy.indexOf(1);
    expect(answer).toMatchObject({
      ids: [...greedy.subarray(0, end + 1)],
      promptTokens: ids.length,
      finishReason: 'stop',
    });
    expect(answer.times.firstTokenMs).toBeGreaterThan(0);
  });

  it('takes a written-out prompt as it is, stops before a text, and draws the same again', async () => {
    const prompt = '<｜begin▁of▁sentence｜><｜User｜>Tell me a story about a cat.<｜Assistant｜>';
    const sampling = ['--temperature', '1.1', '--top-p', '0.9', '--seed', '5'];
    const flags = [
      'generate',
      '--prompt',
      prompt,
      '--max-tokens',
      '30',
      '--stop',
      '. ',
      ...sampling,
    ];
    const one = await runCli([...flags, '--json']);
    const two = await runCli([...flags, '--json']);
    const { text, ids, promptTokens } = JSON.parse(one.stdout);
    expect(text).not.toContain('. ');
    expect(promptTokens).toBeLessThan(20);
    expect(JSON.parse(two.stdout).ids).toEqual(ids);
  });

  it.each([
    [['generate'], /Expected --prompt or --prompt-ids/],
    [['generate', '--prompt', 'a', '--prompt-ids', '1'], /Expected --prompt or --prompt-ids/],
    [['generate', '--prompt-ids', '1,x'], /token ids such as 1,2,3/],
    [['generate', '--prompt-ids', '1,999999'], /token ids from 0 to 2047/],
    [['generate', '--prompt', 'a', '--top-p', '2'], /a number from 0 to 1/],
    [['generate', '--prompt', 'a', '--device', 'tpu'], /'tpu'/],
    [['generate', '--prompt', 'a', '--device', 'sim', '--dtype', 'f32'], /on the processor only/],
    [['generate', '--prompt', 'a', '--dtype', 'f16'], /Allowed choices are bf16, f32/],
    [['generate', 'no/model', '--prompt', 'a'], /neither\. Get a model with/],
    [['check', tales, 'no.safetensors'], /a file that can be read/],
    [['estimate', '--memory', 'much'], /a number from/],
    [['generate', '--prompt', 'a', '--hisparse'], /one with an indexer/],
    [['generate', '--prompt', 'a', '--hisparse-config', '{}'], /configures --hisparse/],
    [['serve', '--hisparse-config', '{}'], /configures --hisparse/],
    [['serve', '--hisparse', '--dtype', 'f32'], /the operations of a device/],
    [['estimate', '--hisparse', '--hisparse-config', '{'], /a JSON object/],
    [['generate', '--prompt', 'a', '--kv-cache-dtype', 'fp4'], /Allowed choices are bf16, fp8/],
    [['generate', '--prompt', 'a', '--kv-cache-dtype', 'fp8'], /a model with an indexer/],
    [['chat', '--dtype', 'f32', '--kv-cache-dtype', 'fp8'], /the cache is f32/],
    [['serve', '--dtype', 'f32', '--kv-cache-dtype', 'fp8'], /the cache is f32/],
    [['serve', '--kv-cache-dtype', 'fp8'], /a model with an indexer/],
    [['estimate', '--dtype', 'bf16', '--kv-cache-dtype', 'fp8'], /a model with an indexer/],
  ])('%j is answered with what is wrong', async (args, message) => {
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  it('names the families there are for a model of another', async () => {
    mkdirSync(join(folder, 'other'));
    writeFileSync(join(folder, 'other', 'config.json'), '{ "model_type": "llama" }');
    const args = ['generate', join(folder, 'other'), '--prompt', 'a', '--json'];
    const { code, stdout } = await runCli(args);
    expect(code).toBe(2);
    expect(JSON.parse(stdout).error).toMatchObject({
      name: 'UnsupportedModelError',
      modelType: 'llama',
      families: expect.arrayContaining(['deepseek_v3', 'minicpm3']),
    });
  });
});

describe('chat', () => {
  it('answers line by line, remembers, and ends at the end of a pipe', async () => {
    const child = spawn(process.execPath, [binary, 'chat', '--max-tokens', '90'], {
      stdio: 'pipe',
    });
    child.stdin.end(
      'Tell me a tale with a duck.\n\nWhat was the name of the duck?\n/clear\n/exit\nAdd 1 and 1.\n',
    );
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    const [tale = '', name = '', ...more] = stdout.trimEnd().split('\n');
    expect({ code, more }).toEqual({ code: 0, more: [] });
    const [, duck = 'nobody'] = /named (\w+)/.exec(tale) ?? [];
    expect(name).toContain(duck);
  });
});

describe('check', () => {
  it('passes recorded answers, and exits 1 where one is not met', async () => {
    const answers = await openSafetensors(reference);
    const tensors = async (off: number) => ({
      '0.input_ids': await answers.read('7.input_ids', 'i32'),
      '0.logits': {
        dtype: 'f32' as const,
        shape: [8, 2048],
        data: (await answers.read('7.logits', 'f32')).data.map((logit) => logit + off),
      },
      '0.greedy': await answers.read('7.greedy', 'i32'),
    });
    const write = async (name: string, off: number) => {
      const path = join(folder, name);
      writeFileSync(path, await encodeSafetensors(await tensors(off)));
      return path;
    };
    const right = await write('right.safetensors', 0);
    const wrong = await write('wrong.safetensors', 0.01);
    await answers.close();
    const rounded = await runCli(['check', tales, wrong, '--dtype', 'bf16']);
    expect({ code: rounded.code, stderr: rounded.stderr }).toEqual({ code: 0, stderr: '' });
    const passed = await runCli(['check', tales, right]);
    expect({ code: passed.code, stdout: passed.stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/8\/8 .* 7\/7 +pass\npass\n$/),
    });
    const failed = await runCli(['check', tales, wrong, '--json']);
    expect(failed.code).toBe(1);
    const { pass, prompts } = JSON.parse(failed.stdout);
    expect(pass).toBe(false);
    expect(prompts[0].maxError).toBeCloseTo(0.01, 3);
  });
});

describe('estimate', () => {
  it('says what a model needs without loading it', async () => {
    const flags = ['--dtype', 'bf16', '--memory', '1', '--bandwidth', '100', '--context', '1000'];
    const { code, stdout } = await runCli(['estimate', tales, ...flags, '--json']);
    expect(code).toBe(0);
    const { parameters, weightBytes, tokensPerSecond, ...found } = JSON.parse(stdout);
    expect(found).toMatchObject({
      fits: true,
      cacheBytesPerToken: 4 * 576 * 2,
      longestContext: 4096,
    });
    expect(weightBytes).toBe(parameters.total * 2);
    expect(tokensPerSecond).toBeCloseTo(100e9 / (parameters.active * 2 + 1000 * 4608), 3);
    const indexed = join(folder, 'indexed');
    mkdirSync(indexed);
    writeFileSync(join(indexed, 'config.json'), tinyConfig('deepseek-v32'));
    const sparse = [
      '--dtype',
      'bf16',
      '--memory',
      '1',
      '--context',
      '4096',
      '--hisparse',
      '--json',
    ];
    const { hisparse } = JSON.parse((await runCli(['estimate', indexed, ...sparse])).stdout);
    // Three layers: rows of 1,152 bytes and keys of 132; a buffer of 64 tokens and a page.
    expect(hisparse).toMatchObject({
      deviceBytesPerSequence: 3 * (4096 * 132 + 128 * 1152),
      hostBytesPerSequence: 3 * 4096 * 1152,
    });
    expect(hisparse.sequences).toBeGreaterThan(7 * hisparse.sequencesWithout);
    const packed = await runCli(['estimate', indexed, ...sparse, '--kv-cache-dtype', 'fp8']);
    expect(JSON.parse(packed.stdout)).toMatchObject({
      cacheBytesPerToken: 3 * (656 + 132),
      hisparse: { deviceBytesPerSequence: 3 * (4096 * 132 + 128 * 656) },
    });
    const tight = await runCli(['estimate', tales, '--memory', '0.01']);
    expect(tight.stdout).toMatch(/does not fit into 10.2 MiB/);
  });
});

describe('bench model', () => {
  it('measures two layers of a model on the processor, and prints JSON only', async () => {
    const flags = ['--device', 'cpu', '--layers', '2', '--b', '1,3', '--context', '70'];
    const measurement = ['--seconds', '0', '--bandwidth', '100', '--json'];
    const { code, stdout, stderr } = await runCli([
      ...['bench', 'model', '--shape', tales, ...flags, ...measurement],
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { rows, layers, bandwidth } = JSON.parse(stdout);
    expect({ layers, bandwidth }).toEqual({ layers: 2, bandwidth: 100e9 });
    expect(rows.map(({ op, b }: { op: string; b: number }) => [op, b])).toEqual([
      ...[1, 3].map((b) => ['model_decode', b]),
      ...[1, 3].map((b) => ['model_prefill', b]),
    ]);
    for (const row of rows) {
      expect(row.tokens_per_second).toBeGreaterThan(0);
      expect(row.share).toBeCloseTo(row.bytes / 100e9 / (row.us / 1e6), 6);
    }
  });

  it.each([
    [['--b', '0'], /--b/],
    [['--phase', 'both'], /--phase/],
    [['--shape', 'no/such/model'], /no\/such\/model/],
  ])('refuses %j', async (flags, message) => {
    const { code, stderr } = await runCli(['bench', 'model', '--device', 'cpu', ...flags]);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(message);
  });
});

describe('bench hisparse', () => {
  const shape = ['--shape', dataPath('tiny/deepseek-v32'), '--device', 'cpu', '--seconds', '0'];

  it('measures both ways in the same memory, and prints JSON only', async () => {
    const sizes = ['--context', '200', '--memory', '0.002', '--buffer-size', '64', '--json'];
    const { code, stdout, stderr } = await runCli(['bench', 'hisparse', ...shape, ...sizes]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const found = JSON.parse(stdout);
    expect(found).toMatchObject({ layers: 3, kvCacheDType: 'fp8', deviceBufferSize: 64 });
    expect(found.timesTheRequests).toBeCloseTo(found.with.requests / found.without.requests);
    const each = (row: { tokens_per_second_of_a_request: number }) =>
      row.tokens_per_second_of_a_request;
    expect(found.shareOfTokensPerSecond).toBeCloseTo(each(found.with) / each(found.without));
    expect(found.with.hit_rate).toBeGreaterThan(0);
    expect(found.without.hit_rate).toBe(null);
  });

  it.each([
    [['--memory', '0.00001'], /not one sequence of 32768 tokens/],
    [['--buffer-size', '33'], /a multiple of the page size/],
    [['--shape', tales], /one with an indexer/],
  ])('refuses %j', async (flags, message) => {
    const { code, stdout, stderr } = await runCli(['bench', 'hisparse', ...shape, ...flags]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });
});
