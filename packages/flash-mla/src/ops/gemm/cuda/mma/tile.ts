import type { Ops, ParamValues, SharedArray, Value } from '@flash-mla/ptx';
import type { GemmConfig, GemmParams, Matrices } from '../config.ts';

/** Columns of a tile, and elements of the depth that are on their way at a time. */
export const columnTile = 64;
export const depthTile = 64;
/** 16 bytes of a row of bf16. */
const chunkColumns = 8;
const chunksOfRow = 64 / chunkColumns;

/** What a CTA knows of its tile. */
export interface TileContext {
  readonly k: Ops;
  readonly p: ParamValues<GemmParams>;
  readonly config: GemmConfig;
  readonly matrices: Matrices;
  readonly threads: number;
  readonly firstColumn: Value<'u32'>;
  /** Weights in shared memory: (stages, 64, 64). */
  readonly shared: SharedArray<'bf16'>;
}

/** A second operand: what a lane has of 16 of the depth and 8 columns. */
type Fragment = readonly Value<'bf16x2'>[];

/** How weights come into shared memory, and from there into fragments. */
export interface WeightTile {
  /** Begins to bring a tile of the depth; what it returns ends what copies alone cannot do. */
  fetch(stage: Value<'u32'>, depth: Value<'u32'>): () => void;
  /** 16 of the depth from `d` on and 16 columns from `column` on: two second operands, of 8 columns each. */
  fragments(stage: Value<'u32'>, d: number, column: Value<'u32'>): readonly [Fragment, Fragment];
}

/** The chunks of `count` rows of 64 elements that a thread brings: always of the same columns. */
export function chunksOf(k: Ops, threads: number, count: number) {
  const rowsAtOnce = threads / chunksOfRow;
  const chunk = k.threadIdx.x.and(chunksOfRow - 1).mul(chunkColumns);
  const first = k.threadIdx.x.shr(Math.log2(chunksOfRow));
  const rows = Array.from({ length: Math.ceil(count / rowsAtOnce) }, (_, i) =>
    first.add(i * rowsAtOnce),
  );
  return { chunk: chunk.named('chunk'), rows };
}
