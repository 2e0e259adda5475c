import { defineKernel, field, type Kernel, type Ops, type Value, type Var } from '@flash-mla/ptx';
import {
  elementOf,
  finish,
  type GemmConfig,
  type GemmParams,
  gemmParams,
  matricesOf,
  scaleShift,
} from './config.ts';
import { rowWeights } from './mma/row-weights.ts';
import { chunksOf, columnTile, depthTile, type TileContext, type WeightTile } from './mma/tile.ts';
import { transposedWeights } from './mma/transposed-weights.ts';

/** Tiles of the depth in shared memory. */
const stages = 3;
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
  return buildProduct('sm80_mma_gemm', config, rowWeights);
}

/** The same for weights whose rows are what is summed over, and for any number of rows. */
export function buildTransposedMmaGemm(config: GemmConfig): Kernel<GemmParams> {
  return buildProduct('sm80_transposed_mma_gemm', config, transposedWeights);
}

function buildProduct(
  name: string,
  config: GemmConfig,
  weightsOf: (context: TileContext) => WeightTile,
): Kernel<GemmParams> {
  const { rowTile, weight } = config;
  const warps = warpsOf(rowTile);
  const threads = warps.m * warps.n * 32;
  const warpRows = rowTile / warps.m;
  const warpColumns = columnTile / warps.n;
  const isScaled = weight.dtype === 'e4m3';
  const options = {
    ...{ name, params: gemmParams, block: [threads] as const },
    shared: {
      a: field('bf16', [stages, rowTile, depthTile], { swizzle: '128B' }),
      b: field('bf16', [stages, columnTile, depthTile], { swizzle: '128B' }),
    },
  } as const;
  return defineKernel(options, (k, p) => {
    const matrices = matricesOf(k, p);
    const firstColumn = k.blockIdx.x.mul(columnTile).named('first_column');
    const firstRow = k.blockIdx.y.mul(rowTile).named('first_row');
    const { chunk, rows } = chunksOf(k, threads, rowTile);
    const places = rows.map((row) => {
      const at = firstRow.add(row);
      const there = at.min(p.rows.sub(1));
      const from = elementOf(k, matrices.x, 'bf16', p.xStride, there, chunk);
      return { row, from, isThere: at.lt(p.rows) };
    });
    const copyRows = (stage: Value<'u32'>, depth: Value<'u32'>) => {
      const inDepth = depth.add(chunk).lt(p.depth);
      for (const { row, from, isThere } of places) {
        const sourceBytes = k.select<'u32'>(isThere.and(inDepth), 16, 0, 'u32');
        const source = from.as('bf16').bytes(k.widen(k.select(inDepth, depth, 0, 'u32')).mul(2));
        k.cpAsync(k.shared.a.row(stage, row).at(chunk), source, 16, { sourceBytes });
      }
    };
    const weights = weightsOf({
      ...{ k, p, config, matrices, threads, firstColumn, shared: k.shared.b },
    });

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

    // Weights that no kernel writes are fetched before the kernels ahead have ended.
    const overlaps = k.target.sm >= 90;
    if (overlaps) {
      k.launchDependents();
      k.if(p.fetchesEarly.eq(0), () => k.waitForDependencies(), { uniform: true });
    }
    const begun = Array.from({ length: stages - 1 }, (_, s) => {
      const at = [k.constant('u32', s), k.constant('u32', s * depthTile)] as const;
      return { at, put: weights.fetch(...at) };
    });
    if (overlaps) k.waitForDependencies();
    for (const { at, put } of begun) {
      copyRows(...at);
      k.cpAsyncCommit();
      put();
    }
    const stage = k.var('u32', 0);
    const next = k.var('u32', stages - 1);
    k.for(
      { to: p.depth, step: depthTile, name: 'depth', uniform: true, unroll: false },
      (depth) => {
        k.cpAsyncWait(stages - 2);
        k.barrier();
        const ahead = depth.add((stages - 1) * depthTile);
        copyRows(next, ahead);
        const put = weights.fetch(next, ahead);
        k.cpAsyncCommit();
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
      const fragments = Array.from({ length: tilesM }, (_, m) => {
        const row = warpM.add(lane.and(15)).add(m * 16);
        return k.ldmatrix(k.shared.a.row(of, row).at(halfA.add(d)), 4);
      });
      for (let n = 0; n < tilesN; n += 2) {
        const [left, right] = weights.fragments(of, d, warpN.add(n * 8));
        fragments.forEach((a, m) => {
          k.mma('bf16', quad(part[m]?.[n]), a, left);
          k.mma('bf16', quad(part[m]?.[n + 1]), a, right);
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
