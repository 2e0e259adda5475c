// Adapters in software compute each column alone. What a GPU runs instead is run here by one of them.
import { describe, expect, it } from 'vitest';
import { gpuTuning } from '../../../runtime/webgpu/runtime/tuning.ts';
import { openAdjusted } from '../../../runtime/webgpu/testing/open.ts';
import { useSwiftShader } from '../../../runtime/webgpu/testing/swiftshader.ts';
import { runConformance } from '../../cases.ts';

const absent = useSwiftShader();
const filters = [
  'linear bf16 bf16 bf16 rows=2',
  'linear f32 bf16 f32 rows=4',
  'linear bf16 e4m3 bf16 rows=6',
  'batched-linear bf16 bf16 bf16 rows=1 batch=4 columns=512',
  'expert-mlp bf16 bf16 f32 rows=5',
];

describe.skipIf(absent)(`products as a GPU computes them${absent ? `: ${absent}` : ''}`, () => {
  it('agree with the reference', async () => {
    const { device } = await openAdjusted((all) => ({ ...all, tuning: gpuTuning }));
    try {
      for (const filter of filters) {
        let ran = 0;
        for await (const { name, status, message } of runConformance(device, { filter })) {
          expect(status, `${name}: ${message}`).toBe('passed');
          ran++;
        }
        expect(ran, filter).toBeGreaterThan(0);
      }
    } finally {
      await device.dispose();
    }
  }, 30_000);
});
