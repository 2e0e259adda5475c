import {
  defineKernel,
  e4m3x4ToBf16x2,
  field,
  type Kernel,
  type Ops,
  type Value,
  type Var,
} from '@flash-mla/ptx';
import {
  elementOf,
  finish,
  type GemmConfig,
  type GemmParams,
  gemmParams,
  matricesOf,
  scaleShift,
} from './config.ts';

/** Columns of a tile, and elements of the depth that are on their way at a time. */
const columnTile = 64;
const depthTile = 64;
/** Tiles of the depth in shared memory. */
const stages = 3;
/** 16 bytes of a row. */
const chunkColumns = 8;

export function mmaGrid(rowTile: number, rows: number, columns: number, batch: number) {
  return [Math.ceil(columns / columnTile), Math.ceil(rows / rowTile), batch] as const;
}

/** Warps along the rows and the columns of a tile. */
const warpsOf = (rowTile: number) => (rowTile === 16 ? { m: 1, n: 4 } : { m: 4, n: 1 });

/**
 * For many rows: a tile of rowTile × 64 on tensor cores, three stages of 64 of the depth in shared memory.
 * e4m3 weights become bf16, exactly, on their way; what 128 of the depth add up to is multiplied by
 * their scale in float32.
 */
export function buildMmaGemm(config: GemmConfig): Kernel<GemmParams> {
  const { rowTile, weight } = config;
  const warps = warpsOf(rowTile);
  const threads = warps.m * warps.n * 32;
  const warpRows = rowTile / warps.m;
  const warpColumns = columnTile / warps.n;
  const isScaled = weight.dtype === 'e4m3';
  const options = {
    ...{ name: 'sm80_mma_gemm', params: gemmParams, block: [threads] as const },
    shared: {
      a: field('bf16', [stages, rowTile, depthTile], { swizzle: '128B' }),
      b: field('bf16', [stages, columnTile, depthTile], { swizzle: '128B' }),
    },
  } as const;
  return defineKernel(options, (k, p) => {
    const matrices = matricesOf(k, p);
    const firstColumn = k.blockIdx.x.mul(columnTile).named('first_column');
    const firstRow = k.blockIdx.y.mul(rowTile).named('first_row');
    const chunk = k.threadIdx.x.and(7).mul(chunkColumns).named('chunk');
    const rowOfThread = k.threadIdx.x.shr(3).named('row_of_thread');
    const rowsAtOnce = threads / 8;

    /** Chunks of a tile that this thread brings: of `count` rows from `first` on, below `end`. */
    const places = (count: number, first: Value<'u32'>, end: Value<'u32'>) =>
      Array.from({ length: Math.ceil(count / rowsAtOnce) }, (_, i) => {
        const row = rowOfThread.add(i * rowsAtOnce);
        return { row, source: first.add(row).min(end.sub(1)), isThere: first.add(row).lt(end) };
      });
    const rowsOfA = places(rowTile, firstRow, p.rows).map((place) => ({
      ...place,
      from: elementOf(k, matrices.x, 'bf16', p.xStride, place.source, chunk),
    }));
    const rowsOfB = places(columnTile, firstColumn, p.columns).map((place) => ({
      ...place,
      from: elementOf(k, matrices.weight, weight.dtype, p.weightStride, place.source, chunk),
    }));

    type Rows = typeof rowsOfA;
    const copy = (rows: Rows, to: 'a' | 'b', stage: Value<'u32'>, depth: Value<'u32'>) => {
      const inDepth = depth.add(chunk).lt(p.depth);
      for (const { row, from, isThere } of rows) {
        const sourceBytes = k.select<'u32'>(isThere.and(inDepth), 16, 0, 'u32');
        const source = from.as('bf16').bytes(k.widen(k.select(inDepth, depth, 0, 'u32')).mul(2));
        k.cpAsync(k.shared[to].row(stage, row).at(chunk), source, 16, { sourceBytes });
      }
    };
    /** e4m3 codes of a tile on their way in registers; what it returns puts them in place as bf16. */
    const convert = (stage: Value<'u32'>, depth: Value<'u32'>) => {
      const inDepth = depth.add(chunk).lt(p.depth);
      const codes = rowsOfB.map(({ from, isThere }) => {
        const words = k.vars('b32', 2, 0);
        k.if(isThere.and(inDepth), () => {
          const loaded = from.bytes(k.widen(depth)).as('b32').loadVec(2, { nc: true });
          loaded.forEach((word, i) => {
            words[i]?.set(word);
          });
        });
        return words;
      });
      return () => {
        rowsOfB.forEach(({ row }, i) => {
          const pairs = (codes[i] as Var<'b32'>[]).flatMap((word) =>
            e4m3x4ToBf16x2(k, word.as('e4m3x4'), { nan: true }).map((pair) => pair.as('b32')),
          );
          k.shared.b.row(stage, row).at(chunk).as('b32').storeVec(pairs);
        });
      };
    };
    /** Begins to bring a tile of the depth; what it returns ends what copies alone cannot do. */
    const fetch = (stage: Value<'u32'>, depth: Value<'u32'>): (() => void) => {
      copy(rowsOfA, 'a', stage, depth);
      if (!isScaled) copy(rowsOfB, 'b', stage, depth);
      k.cpAsyncCommit();
      return isScaled ? convert(stage, depth) : () => {};
    };

    const warpM = k.warpId.rem(warps.m).mul(warpRows).named('warp_row');
    const warpN = k.warpId.div(warps.m).mul(warpColumns).named('warp_column');
    const [tilesM, tilesN] = [warpRows / 16, warpColumns / 8];
    const accumulators = () =>
      Array.from({ length: tilesM }, () =>
        Array.from({ length: tilesN }, () => k.vars('f32', 4, 0)),
      );
    const acc = accumulators();
    // What has not been multiplied by its scale yet.
    const part = isScaled ? accumulators() : acc;

    for (let s = 0; s < stages - 1; s++) {
      fetch(k.constant('u32', s), k.constant('u32', s * depthTile))();
    }
    const stage = k.var('u32', 0);
    const next = k.var('u32', stages - 1);
    k.for(
      { to: p.depth, step: depthTile, name: 'depth', uniform: true, unroll: false },
      (depth) => {
        k.cpAsyncWait(stages - 2);
        k.barrier();
        const put = fetch(next, depth.add((stages - 1) * depthTile));
        k.section('multiply', () => {
          for (let d = 0; d < depthTile; d += 16) multiply(stage, d);
        });
        put();
        if (isScaled) {
          // Two tiles of the depth share a scale.
          const isLast = depth.shr(6).and(1).eq(1).or(depth.add(depthTile).ge(p.depth));
          k.if(isLast, () => applyScale(depth), { uniform: true });
        }
        stage.set(k.select(stage.eq(stages - 1), 0, stage.add(1), 'u32'));
        next.set(k.select(next.eq(stages - 1), 0, next.add(1), 'u32'));
      },
    );
    k.cpAsyncWaitAll();

    k.section('finish', () => {
      const row = firstRow.add(warpM).add(k.laneId.shr(2));
      const column = firstColumn.add(warpN).add(k.laneId.and(3).shl(1));
      acc.forEach((ofRows, m) => {
        ofRows.forEach((values, n) => {
          values.forEach((value, i) => {
            const at = row.add(m * 16 + (i >> 1) * 8);
            const c = column.add(n * 8 + (i & 1));
            k.if(at.lt(p.rows).and(c.lt(p.columns)), () =>
              finish(k, config, p, matrices, value, at, c),
            );
          });
        });
      });
    });

    function multiply(of: Value<'u32'>, d: number): void {
      const lane = k.laneId;
      const halfA = lane.shr(4).shl(3);
      const halfB = lane.shr(3).and(1).shl(3);
      const fragments = Array.from({ length: tilesM }, (_, m) => {
        const row = warpM.add(lane.and(15)).add(m * 16);
        return k.ldmatrix(k.shared.a.row(of, row).at(halfA.add(d)), 4);
      });
      for (let n = 0; n < tilesN; n += 2) {
        const row = k
          .mad(lane.shr(4), 8, lane.and(7))
          .add(warpN)
          .add(n * 8);
        const [b0, b1, b2, b3] = k.ldmatrix(k.shared.b.row(of, row).at(halfB.add(d)), 4);
        fragments.forEach((a, m) => {
          k.mma('bf16', quad(part[m]?.[n]), a, [b0, b1]);
          k.mma('bf16', quad(part[m]?.[n + 1]), a, [b2, b3]);
        });
      }
    }

    function applyScale(depth: Value<'u32'>): void {
      const block = k.mulWide(firstColumn.shr(scaleShift), p.scalesStride);
      const scale = p.weightScales.at(block).at(depth.shr(scaleShift)).load({ nc: true });
      acc.forEach((ofRows, m) => {
        ofRows.forEach((values, n) => {
          values.forEach((value, i) => {
            const sum = part[m]?.[n]?.[i] as Var<'f32'>;
            value.set(k.fma(sum, scale, value));
            sum.set(k.constant('f32', 0));
          });
        });
      });
    }
  });
}

type Quad = Parameters<Ops['mma']>[1];

const quad = (values: Var<'f32'>[] | undefined) => values as unknown as Quad;
