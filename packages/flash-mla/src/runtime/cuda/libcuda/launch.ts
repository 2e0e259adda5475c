import type { Grid, Handle, LaunchShape, PreparedRun } from '../driver/driver.ts';
import type { LibcudaDriver } from './driver.ts';
import { Scratch } from './scratch.ts';
import type { DriverApi } from './symbols.ts';

/** CUlaunchConfig, CUlaunchAttribute and the `extra` list, as 64-bit platforms lay them out. */
const config = {
  bytes: 56,
  grid: 0,
  block: 12,
  sharedBytes: 24,
  stream: 32,
  attributes: 40,
  attributeCount: 48,
} as const;
const attribute = { bytes: 72, value: 8, cluster: 4, programmaticSerialization: 6 } as const;
const extra = { bytes: 40, bufferPointer: 1, bufferSize: 2, end: 0 } as const;

const offsets = {
  attributes: config.bytes,
  extra: config.bytes + 2 * attribute.bytes,
  parameterBytes: config.bytes + 2 * attribute.bytes + extra.bytes,
  parameters: config.bytes + 2 * attribute.bytes + extra.bytes + 8,
} as const;

/**
 * Everything that `cuLaunchKernelEx` reads in one block of memory, so that a launch passes four
 * integers and marshals nothing.
 */
export class LibcudaRun implements PreparedRun {
  readonly parameters: DataView<ArrayBuffer>;
  readonly #block: Scratch;
  readonly #driver: LibcudaDriver;
  readonly #launch: DriverApi['cuLaunchKernelEx'];
  readonly #context: number;
  readonly #kernel: number;
  /** Addresses of the list of parameters and of the `extra` list, of which one is used. */
  readonly #list: number;
  readonly #extra: number;

  constructor(driver: LibcudaDriver, context: number, shape: LaunchShape) {
    this.#driver = driver;
    this.#launch = driver.api.cuLaunchKernelEx;
    this.#context = context;
    this.#kernel = shape.kernel.function;
    const separate = needsList(shape);
    this.#block = layOut(driver, shape, separate);
    const { address } = this.#block;
    this.#list = separate ? address + listOffset(shape) : 0;
    this.#extra = separate ? 0 : address + offsets.extra;
    this.parameters = this.#block.view(offsets.parameters, shape.parameterBytes);
  }

  run(grid: Grid, stream: Handle): void {
    const block = this.#block;
    block.setU32(config.grid, grid[0]);
    block.setU32(config.grid + 4, grid[1]);
    block.setU32(config.grid + 8, grid[2]);
    block.setU64(config.stream, stream);
    this.#driver.enter(this.#context);
    const code = this.#launch(block.address, this.#kernel, this.#list, this.#extra);
    if (code !== 0) throw this.#driver.error('cuLaunchKernelEx', code);
  }
}

/**
 * Where in its constant bank a kernel expects a parameter aligned to more than 16 bytes is up to the
 * assembler, so that a packed buffer cannot be right: each parameter is passed by its own address.
 */
function needsList({ source }: LaunchShape): boolean {
  return source.kernel.paramSlots.some((slot) => slot.align > 16);
}

/** Where the list of the parameters' addresses comes: behind the parameters. */
const listOffset = ({ parameterBytes }: LaunchShape): number =>
  offsets.parameters + Math.ceil(parameterBytes / 8) * 8;

function layOut(driver: LibcudaDriver, shape: LaunchShape, separate: boolean): Scratch {
  const slots = separate ? shape.source.kernel.paramSlots : [];
  const block = new Scratch(driver.library, listOffset(shape) + 8 * slots.length);
  const { address } = block;
  shape.block.forEach((extent, i) => {
    block.setU32(config.block + 4 * i, extent);
  });
  block.setU32(config.sharedBytes, shape.sharedBytes);
  block.setU64(config.attributes, address + offsets.attributes);

  let count = 0;
  const add = (id: number, values: readonly number[]): void => {
    const start = offsets.attributes + count * attribute.bytes;
    block.setU32(start, id);
    values.forEach((value, i) => {
      block.setU32(start + attribute.value + 4 * i, value);
    });
    count++;
  };
  if (shape.cluster) add(attribute.cluster, shape.cluster);
  if (shape.overlap) add(attribute.programmaticSerialization, [1]);
  block.setU32(config.attributeCount, count);

  slots.forEach((slot, i) => {
    block.setU64(listOffset(shape) + 8 * i, address + offsets.parameters + slot.offset);
  });
  const list = [
    extra.bufferPointer,
    address + offsets.parameters,
    extra.bufferSize,
    address + offsets.parameterBytes,
    extra.end,
  ];
  list.forEach((value, i) => {
    block.setU64(offsets.extra + 8 * i, value);
  });
  block.setU64(offsets.parameterBytes, shape.parameterBytes);
  return block;
}
