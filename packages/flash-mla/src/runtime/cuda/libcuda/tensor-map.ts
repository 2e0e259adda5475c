import { checkTensorMap, type TensorMapDescription, tensorMapBytes } from '@flash-mla/ptx';
import { CudaDriverError } from '../driver/driver-error.ts';
import type { LibcudaDriver } from './driver.ts';
import { Scratch } from './scratch.ts';

/** CUtensorMapDataType; e4m3 is a byte to it. */
const dataTypes: Record<TensorMapDescription['element'], number> = {
  u8: 0,
  e4m3: 0,
  u16: 1,
  b16: 1,
  u32: 2,
  b32: 2,
  s32: 3,
  u64: 4,
  s64: 5,
  f16: 6,
  f32: 7,
  bf16: 9,
};
/** CUtensorMapSwizzle and CUtensorMapL2promotion. */
const swizzles = { none: 0, '32B': 1, '64B': 2, '128B': 3 } as const;
const promotions = { none: 0, '64B': 1, '128B': 2, '256B': 3 } as const;

// The map wants 64-byte alignment, which ArrayBuffers do not promise: room for it to be shifted.
const room = tensorMapBytes + 64;
const at = { dims: room, strides: room + 40, box: room + 80, elementStrides: room + 100 } as const;
const bytes = room + 120;

/** Encodes tensor maps by `cuTensorMapEncodeTiled`, which exists from CUDA 12.0 on. */
export class TensorMapEncoder {
  readonly #driver: LibcudaDriver;
  readonly #scratch: Scratch;
  /** Where in the scratch memory the map lies. */
  readonly #start: number;

  constructor(driver: LibcudaDriver) {
    this.#driver = driver;
    this.#scratch = new Scratch(driver.library, bytes);
    this.#start = (64 - (this.#scratch.address % 64)) % 64;
  }

  encode(map: TensorMapDescription): Uint8Array<ArrayBuffer> {
    checkTensorMap(map);
    const encode = this.#driver.optional.cuTensorMapEncodeTiled;
    if (encode === undefined) {
      const problem = `this driver knows no tensor maps; CUDA 12.0 or newer does`;
      throw new CudaDriverError('cuTensorMapEncodeTiled', 222, 'CUDA_ERROR_NOT_FOUND', problem);
    }
    const scratch = this.#scratch;
    const { dims, strides, box, elementStrides } = map;
    dims.forEach((n, i) => {
      scratch.setU64(at.dims + 8 * i, n);
      scratch.setU32(at.box + 4 * i, box[i] ?? 1);
      scratch.setU32(at.elementStrides + 4 * i, elementStrides?.[i] ?? 1);
    });
    strides.forEach((n, i) => {
      scratch.setU64(at.strides + 8 * i, n);
    });
    const { address } = scratch;
    const code = encode(
      address + this.#start,
      dataTypes[map.element],
      dims.length,
      Number(map.address),
      address + at.dims,
      address + at.strides,
      address + at.box,
      address + at.elementStrides,
      0,
      swizzles[map.swizzle ?? 'none'],
      promotions[map.l2Promotion ?? '128B'],
      map.oobFill === 'nan' ? 1 : 0,
    );
    if (code !== 0) throw this.#driver.error('cuTensorMapEncodeTiled', code);
    return scratch.bytes.slice(
      this.#start,
      this.#start + tensorMapBytes,
    ) as Uint8Array<ArrayBuffer>;
  }
}
