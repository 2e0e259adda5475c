import type { Program } from '../ir/program.ts';
import { addressOf } from './global.ts';
import type { Access, MemorySpace } from './machine.ts';
import type { SimWarp } from './warp.ts';

/** The module's constant arrays, each at its offset. */
export class ConstantSpace implements MemorySpace {
  readonly #program: Program;

  constructor(program: Program) {
    this.#program = program;
  }

  load(w: SimWarp, access: Access, mask: number): void {
    const { site, bytes, count, data, signed } = access;
    const size = bytes * count;
    for (let lane = 0; lane < 32; lane++) {
      if (((mask >>> lane) & 1) === 0) continue;
      const address = addressOf(w.I, access.address, lane, access.offset);
      const block = this.#program.constants.find(
        (c) => address >= c.offset && address + size <= c.offset + c.data.length,
      );
      if (block === undefined) {
        w.fault(
          'out of bounds',
          site,
          `${size} bytes outside of every constant array`,
          lane,
          address,
        );
      }
      if (address % size !== 0) w.fault('misaligned', site, `${size} bytes`, lane, address);
      const view = new DataView(
        block.data.buffer,
        block.data.byteOffset + address - block.offset,
        size,
      );
      for (let i = 0; i < size / Math.min(bytes, 4); i++) {
        const register = bytes === 8 ? data[i >> 1] + (i & 1) * 32 : data[i];
        w.I[register + lane] = element(view, i, Math.min(bytes, 4), signed);
      }
    }
  }

  store(w: SimWarp, access: Access): void {
    w.fault('out of bounds', access.site, 'constant memory is read-only');
  }

  atomic(w: SimWarp, access: Access): void {
    w.fault('out of bounds', access.site, 'constant memory is read-only');
  }
}

function element(view: DataView, index: number, bytes: number, signed: boolean): number {
  if (bytes === 1) return signed ? view.getInt8(index) : view.getUint8(index);
  if (bytes === 2) return signed ? view.getInt16(index * 2, true) : view.getUint16(index * 2, true);
  return view.getInt32(index * 4, true);
}
