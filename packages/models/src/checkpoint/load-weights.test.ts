import { readFileSync } from 'node:fs';
import { FlashMlaError } from '@flash-mla/core';
import { encodeSafetensors, type WritableTensor } from '@flash-mla/safetensors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../config/parse-config.ts';
import { matricesOf } from '../layers/map-weights.ts';
import type { WeightPart, WeightStore } from '../layers/operations.ts';
import type { ModelWeights } from '../layers/weights.ts';
import { matrix, type PlainMatrix } from '../plain/matrix.ts';
import { PlainOperations } from '../plain/plain-operations.ts';
import { dataPath, tinyConfig } from '../testing/data.ts';
import { checkpointFiles, memoryFiles } from '../testing/memory-files.ts';
import { tinyTensors } from '../testing/tiny-weights.ts';
import { loadWeights } from './load-weights.ts';
import type { ModelFiles } from './model-files.ts';

const listOf = (name: string) =>
  JSON.parse(readFileSync(dataPath(`tiny/${name}/tensors.json`), 'utf8'));
const text = tinyConfig('deepseek-v3-fp8');
const config = parseConfig(text);
const tensors = tinyTensors(listOf('deepseek-v3-fp8'));
const ops = new PlainOperations();
const q = 'model.layers.1.self_attn.q_a_proj.weight';

/** The complaint about a checkpoint with these changes. */
async function complaint(change: (tensors: Map<string, WritableTensor>) => void) {
  const changed = new Map(tensors);
  change(changed);
  const files = await checkpointFiles(text, changed, 1);
  return loadWeights(files, config, ops).then(
    () => 'none',
    (error: Error) => `${error.name} ${error.message}`,
  );
}

describe('loadWeights', () => {
  it('names tensors that are missing, unexpected or of another shape or dtype', async () => {
    const head: WritableTensor = { dtype: 'i32', shape: [512, 256], data: new Int32Array(131072) };
    const norm: WritableTensor = { dtype: 'f32', shape: [255], data: new Float32Array(255) };
    const message = await complaint((own) => {
      own.delete(q);
      own.delete('model.layers.2.mlp.experts.7.up_proj.weight_scale_inv');
      own.set('model.layers.3.input_layernorm.weight', norm);
      own.set('extra', norm);
      own.set('model.norm.weight', norm);
      own.set('lm_head.weight', head);
    });
    expect(message).toMatch(/^CheckpointError checkpoint: expected the tensors that/);
    expect(message).toContain(`"${q}" is missing`);
    expect(message).toContain('"model.layers.2.mlp.experts.7.up_proj.weight_scale_inv" is missing');
    expect(message).toContain('"extra" is unexpected');
    expect(message).toContain('"model.norm.weight" has shape [255] instead of [256]');
    expect(message).toContain('"lm_head.weight" is "I32" instead of BF16 or F16 or F32');
    // Layer 3 predicts further tokens: it is not loaded.
    expect(message).not.toContain('layers.3');
  });

  it('does not list the tensors of another model one by one', async () => {
    const message = await complaint((own) => own.clear());
    expect(message).toMatch(/perhaps more/);
    expect(message.length).toBeLessThan(1500);
  });

  it('refuses scales that are no numbers, and e4m3 without a block size', async () => {
    const scales = tensors.get(`${q}_scale_inv`) as WritableTensor;
    const bad = await complaint((own) =>
      own.set(`${q}_scale_inv`, { ...scales, data: new Float32Array(4).fill(Number.NaN) }),
    );
    expect(bad).toContain(`tensor "${q}_scale_inv": expected finite scales, got NaN`);
    const plain = { ...config, quantization: undefined };
    const files = await checkpointFiles(text, tensors, 1);
    await expect(loadWeights(files, plain, ops)).rejects.toThrow(/no quantization_config/);
  });

  it('takes modules that were left unquantised, and one tensor for all experts', async () => {
    const list = listOf('deepseek-v3');
    const plain = tinyTensors(list);
    const stacked = new Map(plain);
    for (const layer of [1, 2]) {
      const prefix = `model.layers.${layer}.mlp.experts.`;
      const data = (name: string) => stacked.get(`${prefix}${name}.weight`)?.data as Uint16Array;
      const gateUp: number[] = [];
      const down: number[] = [];
      for (let e = 0; e < 8; e++) {
        gateUp.push(...data(`${e}.gate_proj`), ...data(`${e}.up_proj`));
        down.push(...data(`${e}.down_proj`));
        for (const name of ['gate_proj', 'up_proj', 'down_proj']) {
          stacked.delete(`${prefix}${e}.${name}.weight`);
        }
      }
      const store = (name: string, shape: number[], values: number[]) =>
        stacked.set(prefix + name, { dtype: 'bf16', shape, data: Uint16Array.from(values) });
      store('gate_up_proj', [8, 256, 256], gateUp);
      store('down_proj', [8, 256, 128], down);
    }
    const load = async (own: Map<string, WritableTensor>) =>
      loadWeights(await checkpointFiles(text, own, 1), config, ops);
    expectSame(await load(stacked), await load(plain));
  });

  it('reads any rows of a block-scaled matrix, partial blocks included', async () => {
    const files = await checkpointFiles(text, tensors, 3);
    const read = (chunk: number): WeightStore<PlainMatrix> => ({
      load: async (parts) => concatenate(parts, chunk),
      release: () => {},
    });
    const whole = await loadWeights(files, config, read(4096));
    // 100 rows at a time: the ranges begin and end within blocks, and 576 rows are 4.5 of them.
    expectSame(await loadWeights(files, config, read(100)), whole);
  });

  it('releases what was loaded where it fails or is aborted', async () => {
    const loaded = new Set<object>();
    const store: WeightStore<object> = {
      load: async () => {
        if (loaded.size === 20) throw new Error('full');
        const matrix = {};
        loaded.add(matrix);
        return matrix;
      },
      release: (matrix) => void loaded.delete(matrix),
    };
    const files = await checkpointFiles(text, tensors, 1);
    await expect(loadWeights(files, config, store)).rejects.toThrow('full');
    expect(loaded.size).toBe(0);
    const abort = new AbortController();
    const onProgress = (done: number, total: number) => {
      if (done > total / 2) abort.abort();
    };
    const plenty = { ...store, load: async () => ({}) };
    const options = { onProgress, signal: abort.signal };
    await expect(loadWeights(files, config, plenty, options)).rejects.toThrow(/abort/i);
  });

  it('ties the head to the embedding where the model does', async () => {
    const tied = { ...config, tiedHead: true };
    const weights = await loadWeights(await checkpointFiles(text, tensors, 1), tied, ops);
    expect(weights.head).toBe(weights.embedding);
    expect(new Set(matricesOf(weights)).size).toBe(matricesOf(weights).length);
  });

  it.each([
    ['an index that leads out of the folder', '{ "a": "../x.safetensors" }', /beside the index/],
    ['an index of no files', '{ "a": 3 }', /a string/],
    ['a tensor that its file lacks', '{ "a": "one.safetensors" }', /to be in one\.safetensors/],
  ])('refuses %s', async (_what, map, expected) => {
    const index = `{ "weight_map": ${map} }`;
    const one = await encodeSafetensors({
      b: { dtype: 'u8', shape: [1], data: new Uint8Array(1) },
    });
    const files = memoryFiles(
      { 'model.safetensors.index.json': index },
      { 'one.safetensors': one },
    );
    await expect(loadWeights(files, config, ops)).rejects.toThrow(expected);
  });

  it('refuses a tensor that is in two files', async () => {
    const one = await encodeSafetensors({
      b: { dtype: 'u8', shape: [1], data: new Uint8Array(1) },
    });
    const files = memoryFiles(
      {
        'model.safetensors.index.json':
          '{ "weight_map": { "b": "x.safetensors", "c": "y.safetensors" } }',
      },
      {
        'x.safetensors': one,
        'y.safetensors': await encodeSafetensors({
          b: { dtype: 'u8', shape: [1], data: new Uint8Array(1) },
          c: { dtype: 'u8', shape: [1], data: new Uint8Array(1) },
        }),
      },
    );
    await expect(loadWeights(files, config, ops)).rejects.toThrow(/to be in one file/);
  });

  it('answers truncated and damaged files with typed errors', async () => {
    const whole = await checkpointFiles(text, tensors, 1);
    const file = await whole.tensors('model.safetensors');
    const names = [...file.entries.keys()];
    const bytes = await encodeSafetensors(tensors);
    const store: WeightStore<object> = { load: async () => ({}), release: () => {} };
    const outcome = async (files: ModelFiles) =>
      loadWeights(files, config, store).then(
        () => true,
        (error: unknown) => error instanceof FlashMlaError,
      );
    const damage = fc.record({
      length: fc.oneof(fc.nat(bytes.length), fc.constant(bytes.length)),
      at: fc.nat(20000),
      byte: fc.nat(255),
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ length, at, byte }) => {
        const damaged = bytes.slice(0, length);
        if (at < length) damaged[at] = byte;
        return outcome(memoryFiles({}, { 'model.safetensors': damaged }));
      }),
      { seed: 16, numRuns: 300 },
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...names), fc.jsonValue(), async (name, value) => {
        const index = JSON.stringify({ weight_map: { [name]: value } });
        return outcome(memoryFiles({ 'model.safetensors.index.json': index }, {}));
      }),
      { seed: 16, numRuns: 100 },
    );
  });
});

async function concatenate(parts: readonly WeightPart[], chunk: number): Promise<PlainMatrix> {
  const columns = parts[0]?.columns ?? 0;
  const whole = matrix(
    parts.reduce((sum, { rows }) => sum + rows, 0),
    columns,
  );
  let at = 0;
  for (const { rows, readRows } of parts) {
    for (let begin = 0; begin < rows; begin += chunk) {
      const values = await readRows(begin, Math.min(rows, begin + chunk));
      whole.data.set(values, at);
      at += values.length;
    }
  }
  return whole;
}

function expectSame(a: ModelWeights<PlainMatrix>, b: ModelWeights<PlainMatrix>): void {
  const others = matricesOf(b);
  const bytes = ({ data }: PlainMatrix) =>
    Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const differ = matricesOf(a).filter(
    (own, i) => !bytes(own).equals(bytes(others[i] as PlainMatrix)),
  );
  expect(matricesOf(a).length).toBe(others.length);
  expect(differ).toEqual([]);
}
