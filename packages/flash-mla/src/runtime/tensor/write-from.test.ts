import { describe, expect, it } from 'vitest';
import { openDevice } from '../../index.ts';
import { recordingDevice } from '../../ops/attention/api/testing/recording-backend.ts';
import type { ByteReader } from './write-from.ts';

/** A reader of these bytes that notes which memory it fills. */
function readerOf(bytes: Uint8Array) {
  const filled = new Set<ArrayBufferLike>();
  const reader: ByteReader = {
    byteLength: bytes.length,
    async readInto(target, begin) {
      filled.add(target.buffer);
      target.set(bytes.subarray(begin, begin + target.length));
    },
  };
  return { reader, filled };
}

describe('writing from a reader', () => {
  it('goes piece by piece through two buffers, which serve again', async () => {
    const { device, backend } = recordingDevice();
    const bytes = new Uint8Array(2 ** 25 + 5).map((_, i) => i ^ (i >> 11));
    const { reader, filled } = readerOf(bytes);
    const tensor = device.empty([bytes.length], 'u8');
    await tensor.writeFrom(reader);
    expect(Buffer.compare(await tensor.read(), bytes)).toBe(0);
    expect(filled.size).toBe(2);
    await tensor.writeFrom(reader);
    expect([filled.size, backend.pinned.size]).toEqual([2, 2]);
  });

  it('runs on a stream of the device', async () => {
    const device = await openDevice('sim');
    const side = device.createStream();
    const tensor = device.empty([1000], 'u8');
    const bytes = new Uint8Array(1000).map((_, i) => i);
    await tensor.writeFrom(readerOf(bytes).reader, { stream: side });
    expect([...(await tensor.read())]).toEqual([...bytes]);
    await device.empty([0], 'u8').writeFrom(readerOf(new Uint8Array(0)).reader);
    await device.dispose();
    await expect(tensor.writeFrom(readerOf(bytes).reader)).rejects.toThrow(/disposed|dispose\(\)/);
  });

  it('rejects what does not fit, and what the reader rejects with', async () => {
    const { device, backend } = recordingDevice();
    const tensor = device.empty([4], 'u8');
    await expect(tensor.writeFrom(7 as never)).rejects.toThrow(/^source: .*readInto/);
    const { reader } = readerOf(new Uint8Array(5));
    await expect(tensor.writeFrom(reader)).rejects.toThrow(/^source: expected 4 bytes.*got 5/);
    const broken = { byteLength: 4, readInto: () => Promise.reject(new RangeError('mine')) };
    await expect(tensor.writeFrom(broken)).rejects.toThrow('mine');
    expect(backend.pinned.size).toBe(0);
    expect(() => device.capture(() => void tensor.writeFrom(reader))).toThrow(/writeFrom\(\)/);
  });
});
