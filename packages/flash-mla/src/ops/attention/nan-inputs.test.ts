import { describe, expect, it } from 'vitest';
import { flashMlaSparseFwd, flashMlaWithKvCache, getMlaMetadata, openDevice } from '../../index.ts';
import { useSwiftShader } from '../../runtime/webgpu/testing/swiftshader.ts';

const absent = useSwiftShader();

const devices = [
  { spec: 'cpu', missing: false, note: '' },
  { spec: 'sim', missing: false, note: '' },
  { spec: 'webgpu', missing: Boolean(absent), note: absent ? `, skipped: ${absent}` : '' },
] as const;

// What a row must not see never reaches it (conformance); here, that what it does see shows.
for (const { spec, missing, note } of devices) {
  describe.skipIf(missing)(`a NaN that a row attends to, on ${spec}${note}`, () => {
    it('makes its output and its lse NaN, and no other row’s', async () => {
      const device = await openDevice(spec);
      const [tokens, rows] = [200, 2];
      for (const place of ['q', 'k'] as const) {
        const queries = new Float32Array(rows * 576).fill(0.1);
        const keys = new Float32Array(tokens * 576).fill(0.1);
        if (place === 'q') queries[570] = Number.NaN;
        else keys[170 * 576 + 570] = Number.NaN;
        const kCache = device.tensor(keys, [tokens, 1, 1, 576], 'bf16');
        const table = Int32Array.from({ length: rows * 200 }, (_, i) => i % 200);
        const [schedMeta] = getMlaMetadata();
        const decoded = flashMlaWithKvCache({
          q: device.tensor(queries, [rows, 1, 1, 576], 'bf16'),
          kCache,
          blockTable: device.tensor(table, [rows, 200], 'i32'),
          cacheSeqlens: device.tensor([200, 150], [rows], 'i32'),
          headDimV: 512,
          schedMeta,
        });
        const prefilled = flashMlaSparseFwd({
          q: device.tensor(queries, [rows, 1, 576], 'bf16'),
          kv: kCache.reshape([tokens, 1, 576]),
          indices: device.tensor([170, 3, 4, 5], [rows, 1, 2], 'i32'),
          smScale: 0.04,
        });
        for (const { out, lse } of [decoded, prefilled]) {
          const [first, second] = await lse.read();
          const values = await out.readFloat32();
          expect(first).toBeNaN();
          expect(values[0]).toBeNaN();
          expect(second).toSatisfy(Number.isFinite);
          expect(values[512]).toBeCloseTo(0.1, 3);
        }
      }
      await device.dispose();
    });
  });
}
