// A libcuda that does nothing: what a call costs above the driver, on any machine.
import { flashMla } from './app.mjs';

/** Where a function returns a value: argument index and the value, a number of 64 bits or fewer. */
const answers = {
  cuDriverGetVersion: [0, 13_000],
  cuDeviceGetCount: [0, 1],
  cuDeviceTotalMem_v2: [0, 2 ** 37],
  cuDevicePrimaryCtxRetain: [0, 0x7777_0000],
  cuStreamCreate: [0, 0x7ffe_0000_1000],
  cuEventCreate: [0, 0x7ffe_0000_2000],
  cuLinkCreate_v2: [3, 0x1199],
  cuModuleLoadData: [0, 0xabc0],
  cuModuleGetFunction: [0, 0xf00],
  cuFuncGetAttribute: [0, 0],
  cuStreamEndCapture: [1, 0x61],
  cuGraphInstantiateWithFlags: [0, 0x62],
};
/** CUdevice_attribute of an H200. */
const attributes = new Map([
  [16, 132],
  [38, 50 * 2 ** 20],
  [39, 2048],
  [75, 9],
  [81, 233_472],
  [82, 65_536],
  [97, 232_448],
]);

class NullLibrary {
  path = 'a driver that does nothing';
  #watch;
  #buffers = new Map();
  #next = 0x5500_0000_0000;
  #device = 0x7f00_0000_0000;

  /** `watch` is called with the name of each function before it does nothing. */
  constructor(watch) {
    this.#watch = watch;
  }

  bind(symbol) {
    const call = this.#bind(symbol);
    const watch = this.#watch;
    if (watch === undefined) return call;
    return (...args) => {
      watch(symbol);
      return call(...args);
    };
  }

  #bind(symbol) {
    if (symbol === 'cuMemAlloc_v2' || symbol === 'cuMemHostAlloc') {
      return (out, bytes) => {
        const address = symbol === 'cuMemAlloc_v2' ? this.#device : this.#host(bytes);
        if (symbol === 'cuMemAlloc_v2') this.#device += Math.ceil(bytes / 2 ** 21) * 2 ** 21;
        return this.#answer(out, address);
      };
    }
    if (symbol === 'cuLinkComplete') {
      return (_, image, size) => {
        this.#answer(image, this.#host(8));
        return this.#answer(size, 8);
      };
    }
    if (symbol === 'cuDeviceGetName') {
      return (out) => this.#write(out, new TextEncoder().encode('No GPU\0'));
    }
    if (symbol === 'cuDeviceGetAttribute') {
      return (out, id) => this.#answer(out, attributes.get(id) ?? 0, 4);
    }
    const answer = answers[symbol];
    if (answer === undefined) return () => 0;
    const [index, value] = answer;
    const bytes = symbol.startsWith('cuD') && !symbol.includes('Ctx') && value < 2 ** 31 ? 4 : 8;
    return (...args) => this.#answer(args[index], value, bytes);
  }

  bindTask(symbol) {
    const call = this.bind(symbol);
    return async (...args) => call(...args);
  }

  addressOf(bytes) {
    let base = this.#buffers.get(bytes.buffer);
    if (base === undefined) {
      base = this.#next;
      this.#next += Math.ceil((bytes.buffer.byteLength + 1) / 4096) * 4096;
      this.#buffers.set(bytes.buffer, base);
    }
    return base + bytes.byteOffset;
  }

  view(address, bytes) {
    for (const [buffer, base] of this.#buffers) {
      const offset = address - base;
      if (offset >= 0 && offset + bytes <= buffer.byteLength) {
        return new Uint8Array(buffer, offset, bytes);
      }
    }
    throw new Error(`nothing lies at ${address}`);
  }

  text() {
    return 'nothing';
  }

  #host(bytes) {
    return this.addressOf(new Uint8Array(bytes));
  }

  #answer(address, value, bytes = 8) {
    const littleEndian = Array.from(
      { length: bytes },
      (_, i) => Math.floor(value / 2 ** (8 * i)) % 256,
    );
    return this.#write(address, littleEndian);
  }

  #write(address, bytes) {
    this.view(address, bytes.length).set(bytes);
    return 0;
  }
}

/** A CudaDriver whose calls succeed at once, without effect. It keeps compiled kernels only in a `cacheFolder`. */
export async function openNullDriver(watch, cacheFolder) {
  const { openLibcuda } = await flashMla('runtime/cuda/libcuda/load.js');
  const library = new NullLibrary(watch);
  const environment = {
    platform: 'linux',
    variables: {
      FLASH_MLA_LIBCUDA: library.path,
      ...(cacheFolder ? { FLASH_MLA_CACHE_DIR: cacheFolder } : { FLASH_MLA_CACHE_MB: '0' }),
    },
  };
  return openLibcuda(environment, async () => ({ open: () => library }));
}
