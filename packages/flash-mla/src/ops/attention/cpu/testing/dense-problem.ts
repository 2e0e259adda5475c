import { type FlashMlaSchedMeta, flashMlaWithKvCache, getMlaMetadata } from '../../../../index.ts';
import type { Device } from '../../../../runtime/device/device.ts';
import { denseDecode, type HostTensor } from '../../../reference.ts';
import { intTensor, randomInt, randomTensor, shuffled, upload } from './problems.ts';

export interface DenseShape {
  readonly lengths: readonly number[];
  readonly sQ: number;
  readonly hQ: number;
  readonly hK: number;
  readonly page: number;
  readonly dtype?: 'bf16' | 'f16' | 'e4m3';
  readonly dQk?: number;
  readonly dV?: number;
  readonly causal?: boolean;
  readonly deterministic?: boolean;
}

export interface DenseProblem {
  readonly shape: DenseShape;
  readonly q: HostTensor;
  readonly kCache: HostTensor;
  readonly blockTable: HostTensor<'i32'>;
  readonly cacheSeqlens: HostTensor<'i32'>;
  readonly headDimV: number;
  readonly causal: boolean;
}

const nan = { bf16: 0x7fc0, f16: 0x7e00, e4m3: 0x7f };

/** A paged problem; every cache row that no query may see is NaN, and so are unused pages. */
export function denseProblem(random: () => number, shape: DenseShape): DenseProblem {
  const { lengths, sQ, hQ, hK, page, dtype = 'bf16', dQk = 576, dV = 512, causal = false } = shape;
  const b = lengths.length;
  const pages = lengths.map((n) => Math.ceil(n / page));
  const maxBlocks = Math.max(1, ...pages);
  const blocks = pages.reduce((sum, n) => sum + n, 2);
  const order = shuffled(random, blocks);
  const q = randomTensor(random, [b, sQ, hQ, dQk], dtype);
  const kCache = randomTensor(random, [blocks, page, hK, dQk], dtype, 0.5);
  const rowLength = hK * dQk;
  const used = new Uint8Array(blocks * page);
  const table: number[] = [];
  let next = 0;
  lengths.forEach((length, i) => {
    for (let p = 0; p < maxBlocks; p++) {
      const block = p < (pages[i] as number) ? (order[next++] as number) : -1;
      table.push(block);
      for (let t = 0; block >= 0 && t < page; t++) {
        if (p * page + t < length) used[block * page + t] = 1;
      }
    }
  });
  const data = kCache.data as Uint16Array | Uint8Array;
  used.forEach((isUsed, row) => {
    if (!isUsed) data.fill(nan[dtype], row * rowLength, (row + 1) * rowLength);
  });
  return {
    shape,
    q,
    kCache,
    blockTable: intTensor(table, [b, maxBlocks]),
    cacheSeqlens: intTensor(lengths),
    headDimV: dV,
    causal,
  };
}

export function expectedDense(problem: DenseProblem, extra: { descale?: number } = {}) {
  const { descale } = extra;
  return denseDecode({ ...problem, descaleQ: descale, descaleK: descale });
}

/** Runs a problem through the public function. */
export function runDense(
  device: Device,
  problem: DenseProblem,
  extra: { descale?: number; schedMeta?: FlashMlaSchedMeta } = {},
) {
  const descale = extra.descale && device.tensor([extra.descale], [1], 'f32');
  const [fresh] = getMlaMetadata();
  return flashMlaWithKvCache({
    q: upload(device, problem.q),
    kCache: upload(device, problem.kCache),
    blockTable: upload(device, problem.blockTable),
    cacheSeqlens: upload(device, problem.cacheSeqlens),
    headDimV: problem.headDimV,
    schedMeta: extra.schedMeta ?? fresh,
    causal: problem.causal,
    deterministic: problem.shape.deterministic,
    ...(descale ? { descaleQ: descale, descaleK: descale } : {}),
  } as never);
}

export function randomLengths(random: () => number, b: number, max: number): number[] {
  return Array.from({ length: b }, () => (random() < 0.15 ? 0 : randomInt(random, 1, max)));
}
