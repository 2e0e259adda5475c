import {
  defineKernel,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  type ParamValues,
  type Value,
} from '@flash-mla/ptx';
import {
  partRows,
  streamLayout,
  streamTiles,
  streamWarps,
  type TileStream,
  tileWeights,
} from '../../kernel-lib/cuda/rows/stream-tiles.ts';
import { tileWords } from './sm80_sort_pairs.ts';

/** What the code of both products depends on. */
export interface StreamExpertsConfig extends TileStream {
  /** Rows of weights of an expert that results are made of: columns of the result. */
  readonly columns: number;
  /** Experts of a row: pairs that share a row of x. */
  readonly topK: number;
}

const params = {
  x: global('u8'),
  weight: global('u8'),
  /** f32; 0 where there are none. */
  scales: global('f32'),
  order: global('u32'),
  tiles: global('u32'),
  numTiles: global('u32'),
  /** Up: bf16 (places, columns); down: f32 (pairs, columns). */
  out: global('u8'),
  depth: 'u32',
  /** Bytes between rows, rows of weights, experts. */
  xStride: 'u64',
  weightStride: 'u64',
  expertStride: 'u64',
  /** Elements between rows of scales, and experts. */
  scalesStride: 'u32',
  scalesExpertStride: 'u64',
} as const satisfies ParamDecls;

export type StreamExpertsParams = typeof params;

/** Columns of a tile: of gates as many rows of weights as of what they are multiplied with. */
const upColumns = tileWeights / 2;

const scaleShift = 7;

/** silu(gate) · up of pairs, by their places in the order of experts. */
export function buildStreamUp(config: StreamExpertsConfig): Kernel<StreamExpertsParams> {
  return buildProduct('sm80_stream_up', config, {
    columnsOfTile: upColumns,
    second: config.columns,
    store(k, p, { first, row, column, at }, sum) {
      const [gate, up] = [sum(row, column), sum(row, column.add(upColumns))];
      const value = gate.mul(k.rcp(k.ex2(gate.mul(-Math.LOG2E)).add(1))).mul(up);
      const to = p.out
        .as('u16')
        .at(k.mulWide(first.add(row), config.columns))
        .at(at);
      to.store(k.packBf16x2(value, k.constant('f32', 0)).as('u32'));
    },
  });
}

/** Activations times weights, by pairs. */
export function buildStreamDown(config: StreamExpertsConfig): Kernel<StreamExpertsParams> {
  return buildProduct('sm80_stream_down', config, {
    columnsOfTile: tileWeights,
    second: upColumns,
    store(k, p, { first, row, column, at }, sum) {
      const pair = p.order.at(first.add(row)).load();
      p.out.as('f32').at(k.mulWide(pair, config.columns)).at(at).store(sum(row, column));
    },
  });
}

/** A result of a tile. */
interface Place {
  /** The place of the tile's first pair in the order of experts. */
  readonly first: Value<'u32'>;
  /** Of the tile. */
  readonly row: Value<'u32'>;
  readonly column: Value<'u32'>;
  /** Of all. */
  readonly at: Value<'u32'>;
}

interface Product {
  readonly columnsOfTile: number;
  /** Rows of weights from a lane's first to its second. */
  readonly second: number;
  store(
    k: Ops,
    p: ParamValues<StreamExpertsParams>,
    place: Place,
    sum: (row: Value<'u32'>, weight: Value<'u32'>) => Value<'f32'>,
  ): void;
}

/**
 * A product of the pairs of experts with their weights. Tiles are cut from the pairs of one expert and
 * 16 of its rows of weights; CTAs get neighbours, which mostly share rows of x.
 */
function buildProduct(
  name: 'sm80_stream_up' | 'sm80_stream_down',
  config: StreamExpertsConfig,
  { columnsOfTile, second, store }: Product,
): Kernel<StreamExpertsParams> {
  const { rows, columns, topK } = config;
  const isUp = name === 'sm80_stream_up';
  const isScaled = config.weight === 'e4m3';
  const columnTiles = columns / columnsOfTile;
  const options = {
    ...{ name, params, block: [streamWarps * 32] as const, maxRegisters: 128 },
    shared: streamLayout(config),
  } as const;
  return defineKernel(options, (k, p) => {
    const overlaps = k.target.sm >= 90;
    // The order of pairs is there when the kernel ahead of the second product has begun to compute.
    if (overlaps && isUp) {
      k.waitForDependencies();
      k.launchDependents();
    }
    const all = p.numTiles.load({ relaxed: 'gpu' }).mul(columnTiles).named('all_tiles');
    const share = (i: Value<'u32'>) =>
      k.narrow(k.mulWide(i, all).div(k.widen(k.gridDim.x))).named('share');
    const first = share(k.blockIdx.x);
    const end = share(k.blockIdx.x.add(1));
    const part = (tile: Value<'u32'>) => tile.div(columnTiles);
    const wordOf = (tile: Value<'u32'>, word: number) =>
      p.tiles.at(part(tile).mul(tileWords)).at(word).load({ relaxed: 'gpu' });
    const lane = k.laneId.shr(2);

    streamTiles(k, config, k.shared, {
      ...{ depth: p.depth, first, step: 1, end },
      weights(tile) {
        const expert = k.widen(wordOf(tile, 0));
        const column = tile.rem(columnTiles).mul(columnsOfTile);
        const ofExpert = p.weight.bytes(expert.mul(p.expertStride));
        const row = column.add(lane);
        const rowOf = (i: number) =>
          ofExpert.bytes(k.widen(row.add(i * second)).mul(p.weightStride)).as('b32');
        const ofScales = p.scales.at(expert.mul(p.scalesExpertStride));
        const scalesOf = (i: number) =>
          ofScales.at(k.mulWide(column.add(i * second).shr(scaleShift), p.scalesStride));
        return {
          rows: [rowOf(0), rowOf(1)],
          ...(isScaled && { scales: [scalesOf(0), scalesOf(1)] }),
        };
      },
      rows(tile) {
        const [place, count] = [wordOf(tile, 1), wordOf(tile, 2)];
        return Array.from({ length: rows / partRows }, (_, i) => {
          const own = lane.add(i * partRows);
          const at = place.add(own.min(count.sub(1)));
          const row = isUp ? p.order.at(at).load({ relaxed: 'gpu' }).div(topK) : at;
          const from = p.x.bytes(k.widen(row).mul(p.xStride)).as('b32');
          return { row: from, isThere: own.lt(count) };
        });
      },
      rowsId: part,
      beforeRows: () => overlaps && !isUp && k.waitForDependencies(),
      finish(tile, sum) {
        const [place, count] = [wordOf(tile, 1), wordOf(tile, 2)];
        const begin = tile.rem(columnTiles).mul(columnsOfTile);
        const results = rows * columnsOfTile;
        for (let i = 0; i < results; i += streamWarps * 32) {
          const index = k.threadIdx.x.add(i);
          const row = index.div(columnsOfTile);
          const column = index.rem(columnsOfTile);
          k.if(row.lt(count), () =>
            store(k, p, { first: place, row, column, at: begin.add(column) }, sum),
          );
        }
      },
    });
  });
}
