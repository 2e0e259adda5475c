import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OutOfMemoryError } from '@flash-mla/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { denseDecode } from '../../../ops/attention/operations.ts';
import { Device } from '../../device/device.ts';
import type { CudaDriver } from '../driver/driver.ts';
import { openCuda, probeCuda } from '../open.ts';
import { buildStub, cudaInclude, hasCompiler } from '../testing/build-stub.ts';
import { fakeFamilies } from '../testing/fake-family.ts';
import { openLibcuda } from './load.ts';

// A libcuda written in C, called through koffi: that integers, addresses and structs arrive whole.
describe.skipIf(!hasCompiler)('a driver library (needs a C compiler)', () => {
  const directory = mkdtempSync(join(tmpdir(), 'flash-mla-stub-'));
  let driver: CudaDriver;

  beforeAll(async () => {
    const variables = {
      FLASH_MLA_LIBCUDA: buildStub(directory),
      FLASH_MLA_CACHE_DIR: join(directory, 'cache'),
    };
    driver = await openLibcuda({ platform: 'linux', variables });
  });

  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it.skipIf(cudaInclude === undefined)('is declared as in cuda.h (needs cuda.h)', () => {
    buildStub(mkdtempSync(join(directory, 'h-')), '-DUSE_CUDA_H', `-I${cudaInclude}`);
  });

  it('tells its devices', () => {
    expect(driver.version).toBe(13_000);
    expect(probeCuda(driver)).toMatchObject([
      { name: 'Stub in C', details: { multiprocessors: 132, 'memory (MiB)': 1024 } },
    ]);
  });

  it('encodes tensor maps', () => {
    const context = driver.openContext(0);
    const map = {
      element: 'bf16',
      address: 0x7f12_3456_7890,
      dims: [576, 64, 2 ** 32],
      strides: [1152, 2 ** 40 - 16],
      box: [64, 32, 1],
      swizzle: '128B',
      elementStrides: [1, 2, 3],
      l2Promotion: '256B',
      oobFill: 'nan',
    } as const;
    const words = new BigUint64Array(context.encodeTensorMap(map).buffer);
    const { address, dims, strides, box } = map;
    const expected = [9, address, ...dims, ...strides, ...box, 1, 3, 0, 3, 3, 1];
    expect([...words].map(Number)).toEqual(expected);
    expect(() => context.encodeTensorMap({ ...map, address: 8 })).toThrow(/multiple of 16/);
    context.close();
  });

  it('runs transfers, launches, graphs and events', async () => {
    const options = { debug: false, exactMemory: false, families: fakeFamilies() };
    await using device = new Device(await openCuda(driver, 0, options), false, []);
    const codes = Uint16Array.from({ length: 256 }, (_, i) => i * 3);
    const q = device.tensor(codes, [1, 1, 1, 256], 'bf16');
    const out = device.empty([1, 1, 1, 256], 'bf16');
    const vector = device.empty([1, 1], 'i32');
    const plan = { numParts: 1, blockTokens: 64, overheadBlocks: 5, splitBlocks: 0 };
    const copy = () =>
      device.backend.run(denseDecode, {
        q,
        kCache: q,
        blockTable: vector,
        seqlens: vector,
        headDimV: 256,
        softmaxScale: 1,
        causal: false,
        schedule: { metadata: vector, numSplits: vector, plan },
        out,
        lse: out,
      });
    copy();
    expect(await out.read()).toEqual(codes);
    device.capture(copy).replay();
    await device.synchronize();
    expect(() => device.empty([2 ** 31], 'u8')).toThrow(OutOfMemoryError);
    expect(await q.read()).toEqual(codes);

    const pinned = device.pinned(512);
    device.copy(q, pinned);
    expect(new Uint16Array(pinned.bytes.buffer, pinned.bytes.byteOffset, 256)).toEqual(codes);
    expect(await device.tensorOn(pinned, [256], 'bf16').read()).toEqual(codes);
    pinned.dispose();
  });
});
