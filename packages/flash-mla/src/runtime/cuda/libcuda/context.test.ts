import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KernelCompileError } from '@flash-mla/core';
import { defineKernel, global, type Kernel, tensorMap } from '@flash-mla/ptx';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CudaContext, Grid, KernelSource, LaunchShape } from '../driver/driver.ts';
import { CudaDriverError } from '../driver/driver-error.ts';
import { buildKernel } from '../launch/kernel-store.ts';
import { copySpec } from '../testing/fake-family.ts';
import { StubLibrary, stubLoader } from '../testing/stub-library.ts';
import { openLibcuda } from './load.ts';

let directory: string;
let library: StubLibrary;
let context: CudaContext;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'flash-mla-context-'));
  library = new StubLibrary();
  context = await open();
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function open(): Promise<CudaContext> {
  const environment = { platform: 'linux', variables: { FLASH_MLA_CACHE_DIR: directory } };
  return (await openLibcuda(environment, stubLoader(library))).openContext(0);
}

const kernel = buildKernel(copySpec, { threads: 128 });
const source: KernelSource = {
  name: 'fake_copy',
  kernel,
  target: 'sm_90',
  ptx: () => '.version 7.8',
};

const grid: Grid = [7, 8, 9];
const stream = 0x123_4567_89ab;

function shape(extra: Partial<LaunchShape> = {}): LaunchShape {
  return {
    kernel: { function: 0xf00, registers: 0, localBytes: 0, cached: false },
    source,
    block: [128, 2, 1],
    sharedBytes: 4096,
    overlap: false,
    parameterBytes: 20,
    ...extra,
  };
}

/** Reads what cuLaunchKernelEx was given, by the layout of cuda.h. */
function launched(call: number) {
  const [config = 0, handle, zero, extra = 0] = library.callsOf('cuLaunchKernelEx')[call] ?? [];
  const view = library.viewAt(config);
  const word = (offset: number) => view.getUint32(offset, true);
  const long = (at: DataView, offset: number) => Number(at.getBigUint64(offset, true));
  const attributes = library.viewAt(long(view, 40));
  const list = library.viewAt(extra);
  const pairs = [0, 8, 16, 24, 32].map((offset) => long(list, offset));
  return {
    handle,
    zero,
    grid: [word(0), word(4), word(8)],
    block: [word(12), word(16), word(20)],
    sharedBytes: word(24),
    stream: long(view, 32),
    attributes: Array.from({ length: word(48) }, (_, i) => ({
      id: attributes.getUint32(72 * i, true),
      value: [8, 12, 16].map((offset) => attributes.getUint32(72 * i + offset, true)),
    })),
    tags: [pairs[0], pairs[2], pairs[4]],
    parameters: library.bytesAt(pairs[1] ?? 0).slice(0, 20),
    parameterBytes: long(library.viewAt(pairs[3] ?? 0), 0),
  };
}

describe('memory of the process', () => {
  const pages = 65_536;
  const locks = () => library.callsOf('cuMemHostRegister_v2');
  const unlocks = () => library.callsOf('cuMemHostUnregister');

  it('is locked in whole pages of its own, and known to kernels', () => {
    library.script('cuMemHostGetDevicePointer_v2', (stub, out, host) => stub.u64(out, host + 1));
    const memory = context.lockMemory(pages + 1);
    expect(memory.bytes).toHaveLength(pages + 1);
    expect(memory.bytes.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(memory.address % pages).toBe(0);
    expect(memory.deviceAddress).toBe(memory.address + 1);
    expect(locks()).toEqual([[memory.address, 2 * pages, 3]]);
    context.unlockMemory(memory);
    expect(unlocks()).toEqual([[memory.address]]);
  });

  it('is not left locked where kernels cannot know it', () => {
    library.script('cuMemHostGetDevicePointer_v2', () => 801);
    expect(() => context.lockMemory(8)).toThrow(CudaDriverError);
    expect(unlocks()).toHaveLength(1);
  });
});

describe('a launch', () => {
  it('passes grid, block, shared memory, stream and parameters as cuda.h lays them out', () => {
    const run = context.prepareRun(shape());
    run.parameters.setUint32(16, 0xdeadbeef, true);
    run.run(grid, stream);
    expect(launched(0)).toMatchObject({
      handle: 0xf00,
      zero: 0,
      grid: [7, 8, 9],
      block: [128, 2, 1],
      sharedBytes: 4096,
      stream: 0x123_4567_89ab,
      attributes: [],
      tags: [1, 2, 0],
      parameterBytes: 20,
    });
    expect([...launched(0).parameters.subarray(16)]).toEqual([0xef, 0xbe, 0xad, 0xde]);
  });

  it('carries cluster size and programmatic serialisation as attributes', () => {
    context.prepareRun(shape({ cluster: [2, 1, 1], overlap: true })).run(grid, stream);
    expect(launched(0).attributes).toEqual([
      { id: 4, value: [2, 1, 1] },
      { id: 6, value: [1, 0, 0] },
    ]);
  });

  it('asks for permission for clusters of more than 8 CTAs', () => {
    context.prepareRun(shape({ cluster: [8, 1, 1] }));
    expect(library.callsOf('cuFuncSetAttribute')).toEqual([]);
    context.prepareRun(shape({ cluster: [8, 2, 1] }));
    expect(library.callsOf('cuFuncSetAttribute')).toEqual([[0xf00, 14, 1]]);
  });

  it('passes parameters by their addresses where a tensor map is among them', () => {
    const params = { n: 'u32', map: tensorMap('f32'), x: global('f32') } as const;
    const mapped = defineKernel({ name: 'mapped', params, block: [32] }, () => {});
    const parameterBytes = mapped.program('sm_90').paramBytes;
    const run = context.prepareRun(
      shape({ source: { ...source, kernel: mapped as Kernel }, parameterBytes }),
    );
    const values = { n: 7, map: new Uint8Array(128).fill(9), x: 0x7f12_3456_7890 };
    mapped.packParams(values).forEach((byte, i) => {
      run.parameters.setUint8(i, byte);
    });
    run.run(grid, stream);
    const [, handle, list = 0, extra] = library.callsOf('cuLaunchKernelEx')[0] ?? [];
    expect([handle, extra]).toEqual([0xf00, 0]);
    const at = (i: number) =>
      library.viewAt(Number(library.viewAt(list + 8 * i).getBigUint64(0, true)));
    expect(at(0).getUint32(0, true)).toBe(7);
    expect([0, 127].map((i) => at(1).getUint8(i))).toEqual([9, 9]);
    expect(at(2).getBigUint64(0, true)).toBe(0x7f12_3456_7890n);
  });

  it('makes its context current once, not at every call', () => {
    const run = context.prepareRun(shape());
    for (let i = 0; i < 3; i++) run.run(grid, stream);
    expect(library.callsOf('cuCtxSetCurrent')).toHaveLength(1);
  });
});

describe('tensor maps', () => {
  const map = { element: 'f32', address: 64, dims: [64], strides: [], box: [64] } as const;

  it('are encoded at a multiple of 64 bytes', () => {
    library.script('cuTensorMapEncodeTiled', (stub, at) => {
      stub.bytesAt(at).fill(7, 0, 128);
      return at % 64;
    });
    expect(context.encodeTensorMap(map)).toEqual(new Uint8Array(128).fill(7));
  });

  it('need a driver that knows them; all else works without', async () => {
    library.absent.add('cuTensorMapEncodeTiled');
    const old = await open();
    expect(() => old.encodeTensorMap(map)).toThrow(/CUDA 12.0/);
    expect(old.createStream()).toBeGreaterThan(0);
  });
});

describe('warming up', () => {
  it('holds a context until it is let go', async () => {
    const environment = { platform: 'linux', variables: { FLASH_MLA_CACHE_DIR: directory } };
    const driver = await openLibcuda(environment, stubLoader(library));
    library.calls.length = 0;
    const release = await driver.warmUp?.(1);
    expect(library.callsOf('cuDevicePrimaryCtxRetain')).toHaveLength(1);
    release?.();
    expect(library.callsOf('cuDevicePrimaryCtxRelease_v2')).toHaveLength(1);
  });
});

describe('two contexts of a driver', () => {
  it('take turns being current', async () => {
    const environment = { platform: 'linux', variables: { FLASH_MLA_CACHE_DIR: directory } };
    const driver = await openLibcuda(environment, stubLoader(library));
    const [first, second] = [driver.openContext(0), driver.openContext(1)];
    library.calls.length = 0;
    for (const each of [first, second, second, first]) each.createStream();
    expect(library.callsOf('cuCtxSetCurrent')).toHaveLength(3);
  });
});

describe('loading a kernel', () => {
  it('compiles once and finds the code on disk afterwards', async () => {
    expect(context.loadKernel(source)).toMatchObject({
      function: 0xf00,
      registers: 96,
      cached: false,
    });
    expect(library.callsOf('cuLinkComplete')).toHaveLength(1);
    expect(library.callsOf('cuLinkDestroy')).toHaveLength(1);
    const again = await open();
    expect(again.loadKernel(source).cached).toBe(true);
    expect(library.callsOf('cuLinkComplete')).toHaveLength(1);
    const image = library.callsOf('cuModuleLoadData').at(-1)?.[1] ?? 0;
    expect(new TextDecoder().decode(library.bytesAt(image).subarray(0, 5))).toBe('cubin');
  });

  it('compiles anew for another driver version', async () => {
    context.loadKernel(source);
    library.script('cuDriverGetVersion', (stub, out) => stub.i32(out, 12_080));
    (await open()).loadKernel(source);
    expect(library.callsOf('cuLinkComplete')).toHaveLength(2);
  });

  it('compiles kernels for sm_90a as a whole, for the accelerated target', () => {
    let target = 0;
    library.script('cuModuleLoadDataEx', (stub, out, _image, count: number, ids, values) => {
      for (let i = 0; i < count; i++) {
        if (stub.viewAt(ids).getUint32(4 * i, true) !== 9) continue;
        target = Number(stub.viewAt(values).getBigUint64(8 * i, true));
      }
      return stub.u64(out, 0xabc0);
    });
    context.loadKernel(source);
    expect(target).toBe(0);
    expect(context.loadKernel({ ...source, target: 'sm_90a' }).cached).toBe(false);
    expect(target).toBe(0x10000 + 90);
    expect(library.callsOf('cuLinkComplete')).toHaveLength(1);
  });

  describe('of which is known what decides its text', () => {
    /** A kernel that counts how often its text was asked for. */
    function counted(identity: string, target = 'sm_90') {
      const text = vi.fn(() => `.version 7.8 // ${identity}`);
      return { text, source: { ...source, target, identity, ptx: text } };
    }
    const files = () =>
      readdirSync(join(directory, 'cubin')).map((f) => join(directory, 'cubin', f));

    it('emits no text where the code is on disk', async () => {
      context.loadKernel(counted('build 1, copy').source);
      const { text, source } = counted('build 1, copy');
      expect((await open()).loadKernel(source).cached).toBe(true);
      expect(text).not.toHaveBeenCalled();
    });

    it('compiles anew for another build, configuration or driver', async () => {
      const again = async (identity: string) => {
        const { text, source } = counted(identity);
        expect((await open()).loadKernel(source).cached).toBe(false);
        expect(text).toHaveBeenCalled();
      };
      context.loadKernel(counted('build 1, copy').source);
      await again('build 2, copy');
      await again('build 1, copy of 4');
      library.script('cuDriverGetVersion', (stub, out) => stub.i32(out, 12_080));
      await again('build 1, copy');
      // All of them share the folder.
      expect(files()).toHaveLength(4);
    });

    it('reads the text of a whole program, and emits it again where the file was cut off', async () => {
      const texts: string[] = [];
      library.script('cuModuleLoadDataEx', (stub, out, image) => {
        texts.push(new TextDecoder().decode(stub.bytesAt(image).subarray(0, 30)));
        return stub.u64(out, 0xabc0);
      });
      context.loadKernel(counted('build 1, copy', 'sm_90a').source);
      const second = counted('build 1, copy', 'sm_90a');
      (await open()).loadKernel(second.source);
      expect(second.text).not.toHaveBeenCalled();
      const [file = ''] = files();
      truncateSync(file, statSync(file).size - 3);
      const third = counted('build 1, copy', 'sm_90a');
      (await open()).loadKernel(third.source);
      expect(third.text).toHaveBeenCalledOnce();
      const text = '.version 7.8 // build 1, copy';
      expect(texts.map((each) => each.slice(0, text.length))).toEqual([text, text, text]);
    });
  });

  it('replaces stored code that the driver does not take', async () => {
    context.loadKernel(source);
    let refusals = 1;
    library.script('cuModuleLoadData', (stub, out) =>
      refusals-- > 0 ? 209 : stub.u64(out, 0xabc0),
    );
    expect((await open()).loadKernel(source).cached).toBe(false);
    expect(library.callsOf('cuLinkComplete')).toHaveLength(2);
  });

  it('throws the compiler’s log', () => {
    library.script('cuLinkCreate_v2', (stub, count: number, ids, values, out) => {
      for (let i = 0; i < count; i++) {
        if (stub.viewAt(ids).getUint32(4 * i, true) !== 5) continue;
        const log = Number(stub.viewAt(values).getBigUint64(8 * i, true));
        stub.bytesAt(log).set(new TextEncoder().encode('line 3: syntax error'));
      }
      return stub.u64(out, 1);
    });
    library.script('cuLinkAddData_v2', () => 218);
    const attempt = () => context.loadKernel(source);
    expect(attempt).toThrow(KernelCompileError);
    expect(attempt).toThrow(/CUDA_ERROR_218: line 3: syntax error/);
    expect(library.callsOf('cuLinkDestroy')).toHaveLength(2);
  });

  it('asks for shared memory beyond 48 KiB', () => {
    context.loadKernel(source);
    expect(library.callsOf('cuFuncSetAttribute')).toEqual([]);
    context.loadKernel({ ...source, kernel: { ...kernel, sharedBytes: 99 * 1024 } });
    expect(library.callsOf('cuFuncSetAttribute')).toEqual([[0xf00, 8, 99 * 1024]]);
  });
});

describe('a failing call', () => {
  it('is an error with the call, the driver’s name and whether the context is lost', () => {
    library.script('cuMemAlloc_v2', () => 2);
    library.script('cuEventRecord', () => 700);
    const memory = catchError(() => context.allocate(1024));
    expect(memory).toMatchObject({ call: 'cuMemAlloc', code: 2, sticky: false });
    const fault = catchError(() => context.recordEvent(1, 2));
    expect(fault).toMatchObject({ call: 'cuEventRecord', sticky: true });
    expect(fault.message).toMatch(/FLASH_MLA_DEBUG=1/);
  });

  it('of a query that is not ready is no error', () => {
    library.script('cuEventQuery', () => 600);
    expect(context.queryEvent(1)).toBe(false);
  });
});

describe('ending a capture', () => {
  it('destroys the graph also when it cannot be made executable', () => {
    library.script('cuStreamEndCapture', (stub, _stream, out) => stub.u64(out, 0x60));
    library.script('cuGraphInstantiateWithFlags', () => 999);
    expect(() => context.endCapture(1)).toThrow(CudaDriverError);
    expect(library.callsOf('cuGraphDestroy')).toEqual([[0x60]]);
  });
});

function catchError(action: () => unknown): CudaDriverError {
  try {
    action();
  } catch (error) {
    return error as CudaDriverError;
  }
  throw new Error('nothing was thrown');
}
