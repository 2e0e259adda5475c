import { describe, expect, it } from 'vitest';
import type { Capabilities } from '../../../runtime/webgpu/runtime/limits.ts';
import {
  gpuTuning,
  nvidiaTuning,
  selectTuning,
  softwareTuning,
} from '../../../runtime/webgpu/runtime/tuning.ts';
import { plainRows, sparseRows } from '../../kernel-lib/webgpu/row-format.ts';
import { type AttentionConfig, attentionShape, workgroupBytes } from './config.ts';
import { attentionKernel, attentionName } from './kernel.ts';
import { type AttentionProblem, selectAttention } from './select.ts';

const h200: Capabilities = {
  workgroupBytes: 49152,
  bindingBytes: 2 ** 31 - 256,
  bufferBytes: 2 ** 31 - 256,
  storageBuffers: 16,
  offsetAlignment: 32,
  workgroupsPerDimension: 65535,
  quads: true,
  halfSubnormals: true,
  tuning: gpuTuning,
};
const weakest: Capabilities = {
  ...h200,
  workgroupBytes: 16384,
  bindingBytes: 2 ** 27,
  bufferBytes: 2 ** 28,
  storageBuffers: 8,
  offsetAlignment: 256,
  quads: false,
  halfSubnormals: false,
};

const dense: AttentionProblem = {
  work: 'dense-decode',
  numRows: 128,
  headDimQk: 576,
  headDimV: 512,
  query: 'bf16',
  keys: plainRows('bf16', 576),
  keyAlignment: 16,
  keyBindings: 1,
  causal: false,
  lists: [],
};
const sparse: AttentionProblem = {
  ...dense,
  work: 'sparse-decode',
  keys: sparseRows('v32', 576),
  lists: ['topkLength', 'extraIndices', 'extraTopkLength'],
  keyBindings: 2,
};

/** Storage bindings of the kernel that a configuration makes. */
const bindings = (config: AttentionConfig) => attentionKernel(config).storage.length;

describe('selectTuning', () => {
  const nvidia = { vendor: 'nvidia', isSoftware: false, isDefaultProfile: false };

  it.each([
    [nvidia, nvidiaTuning],
    [{ ...nvidia, isDefaultProfile: true }, gpuTuning],
    [{ ...nvidia, vendor: 'intel' }, gpuTuning],
    [{ ...nvidia, vendor: '' }, gpuTuning],
    [{ ...nvidia, vendor: 'google', isSoftware: true }, softwareTuning],
    [{ vendor: 'mesa', isSoftware: true, isDefaultProfile: true }, softwareTuning],
  ])('of %j', (traits, tuning) => {
    expect(selectTuning(traits)).toBe(tuning);
  });

  it('says which it was', () => {
    const reasons = [gpuTuning, nvidiaTuning, softwareTuning].map(({ reason }) => reason);
    expect(new Set(reasons).size).toBe(3);
  });
});

describe('selectAttention', () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 4],
    [7, 8],
    [9, 16],
    [128, 16],
  ])('takes %i rows in tiles of %i', (numRows, rows) => {
    expect(selectAttention({ ...dense, numRows }, h200).rows).toBe(rows);
  });

  it.each([
    [49152, 16, 16],
    [32768, 8, 8],
    [16384, 4, 2],
  ])('fits %i bytes of workgroup memory with %i dense or %i v32 rows', (bytes, ...rows) => {
    [dense, sparse].forEach((problem, i) => {
      const config = selectAttention(problem, { ...h200, workgroupBytes: bytes });
      expect(config.rows).toBe(rows[i]);
      expect(workgroupBytes(config)).toBeLessThanOrEqual(bytes);
    });
  });

  it('shares a binding between lists only where the device has too few, and never exceeds them', () => {
    expect(selectAttention(sparse, h200).packed).toEqual([]);
    const config = selectAttention(sparse, weakest);
    expect(config.packed).toEqual(['numSplits', 'topkLength', 'extraTopkLength']);
    expect(bindings(config)).toBe(8);
    for (let keyBindings = 1; keyBindings <= 5; keyBindings++) {
      expect(bindings(selectAttention({ ...dense, keyBindings }, weakest))).toBeLessThanOrEqual(8);
    }
  });

  it('says when a cache takes more bindings than there are', () => {
    expect(() => selectAttention({ ...dense, keyBindings: 6 }, weakest)).toThrow(
      expect.objectContaining({ argument: 'kCache' }),
    );
  });

  it('keeps as many rows of the output in registers as the adapter has, and no others', () => {
    const other = { ...h200, tuning: nvidiaTuning };
    const config = selectAttention(dense, h200);
    expect(config).toMatchObject({ rowGroups: 2, tokenGroups: 2 });
    expect(selectAttention(dense, other)).toEqual({ ...config, rowGroups: 1, tokenGroups: 4 });
    for (const numRows of [1, 2, 4, 8]) {
      const few = { ...sparse, numRows };
      expect(selectAttention(few, other)).toEqual(selectAttention(few, h200));
    }
    // What variants.test.ts runs on SwiftShader, which has no room for 16 rows of 576.
    const narrow = { ...dense, headDimQk: 192, headDimV: 128, keys: plainRows('bf16', 192) };
    const swiftshader = { ...other, workgroupBytes: 32768 };
    expect(selectAttention(narrow, swiftshader)).toMatchObject({ rows: 16, rowGroups: 1 });
    expect(selectAttention(dense, swiftshader)).toMatchObject({ rows: 8, rowGroups: 1 });
  });

  it('does not look at the batch, only at what a request is', () => {
    expect(selectAttention(dense, h200)).toEqual(selectAttention({ ...dense }, h200));
  });

  it('makes kernels whose numbers add up, for every width of the API', () => {
    for (const capabilities of [h200, { ...h200, tuning: nvidiaTuning }, weakest]) {
      for (let headDimQk = 8; headDimQk <= 256; headDimQk += 8) {
        for (const numRows of [1, 2, 5, 16, 200]) {
          const config = selectAttention(
            {
              ...dense,
              work: 'dense-attention',
              numRows,
              headDimQk,
              headDimV: 264 - headDimQk,
              keys: plainRows('bf16', headDimQk),
              values: { alignment: 16, bindings: 1 },
              lists: ['cuSeqlensQ', 'cuSeqlensK'],
            },
            capabilities,
          );
          const shape = attentionShape(config);
          const { rowGroups, tokenGroups, unroll, tokensPerQuad } = config;
          expect(shape.columnSlots * rowGroups * tokenGroups).toBeLessThanOrEqual(256);
          expect(shape.tileTokens % (tokenGroups * unroll)).toBe(0);
          expect(Number.isInteger(shape.columnSlots)).toBe(true);
          expect(tokensPerQuad % shape.itemsPerLane).toBe(0);
          expect(Number.isInteger(shape.vectorsPerInvocation)).toBe(true);
        }
      }
    }
  });

  it('tells everything in the name', () => {
    expect(attentionName(selectAttention(sparse, weakest))).toMatchInlineSnapshot(
      `"sparse-decode bf16×v32 576/512, 2 rows × 256 tokens, 8 columns, 1·4 groups, unroll 4 and words, align 16, exchange by workgroup, e4m3 by exact, 2 key bindings, topkLength+extraIndices+extraTopkLength, packed numSplits+topkLength+extraTopkLength"`,
    );
    const names = [dense, sparse, { ...dense, causal: true }].flatMap((problem) =>
      [h200, weakest, { ...h200, halfSubnormals: false }].map((capabilities) =>
        attentionName(selectAttention(problem, capabilities)),
      ),
    );
    const texts = [dense, sparse, { ...dense, causal: true }].flatMap((problem) =>
      [h200, weakest, { ...h200, halfSubnormals: false }].map(
        (capabilities) => attentionKernel(selectAttention(problem, capabilities)).wgsl,
      ),
    );
    expect(new Set(names).size).toBe(new Set(texts).size);
  });
});
