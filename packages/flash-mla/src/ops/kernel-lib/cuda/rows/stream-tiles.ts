import { e4m3x4ToBf16x2, field, type Ops, Pointer, type Value, type Var } from '@flash-mla/ptx';

/** Elements of the depth that a warp multiplies at a time: 128 bytes of a row of bf16. */
export const chunkDepth = 64;
/** Rows of weights of a tile: the rows of a multiplication. */
export const tileWeights = 16;
/** Rows of x of a tile's part: the columns of a multiplication. */
export const partRows = 8;
/** Warps of a CTA: each takes every eighth chunk of the depth. */
export const streamWarps = 8;

/** What the lanes of a warp load at a time. */
const loadBytes = 32 * 16;
const wordsOfLoad = 4;
/** Loads of a chunk of eight rows of x. */
const partLoads = 2;
/** Of the lanes of a warp. */
const scaleBytes = 32 * 4;
/** Floats between the sums of neighbouring rows of x: lanes that store together meet no bank twice. */
const sumStride = tileWeights + 4;
const scaleShift = 7;

/** How weights stream through a CTA. */
export interface TileStream {
  readonly weight: 'bf16' | 'e4m3';
  /** Chunks of a warp that are on their way at a time. */
  readonly stages: number;
  /** Rows of x of a tile: a multiple of 8. */
  readonly rows: number;
  /** All tiles have the same rows of x, of so many elements, which stay in shared memory; else 0. */
  readonly keptDepth: number;
}

const weightLoads = ({ weight }: Pick<TileStream, 'weight'>) => (weight === 'e4m3' ? 2 : 4);

const rowLoads = ({ keptDepth, rows }: Omit<TileStream, 'stages'>) =>
  keptDepth > 0 ? 0 : (rows / partRows) * partLoads;

/** Bytes of a stage of all warps: weights, rows of x unless they are kept, two scales for each lane. */
export function stageBytes(stream: Omit<TileStream, 'stages'>): number {
  const scales = stream.weight === 'e4m3' ? 2 * scaleBytes : 0;
  return streamWarps * ((weightLoads(stream) + rowLoads(stream)) * loadBytes + scales);
}

const keptLoads = ({ keptDepth, rows }: Omit<TileStream, 'stages'>) =>
  Math.ceil(keptDepth / (chunkDepth * streamWarps)) * (rows / partRows) * partLoads;

/** Bytes of shared memory beside the stages. */
export function fixedBytes(stream: Omit<TileStream, 'stages'>): number {
  const sums = 2 * streamWarps * stream.rows * sumStride * 4;
  return sums + streamWarps * keptLoads(stream) * loadBytes;
}

/** The shared memory of a kernel that calls {@link streamTiles}. */
export function streamLayout(stream: TileStream) {
  return {
    stages: field('b32', [stream.stages, stageBytes(stream) / 4]),
    kept: field('b32', [Math.max(4, (streamWarps * keptLoads(stream) * loadBytes) / 4)]),
    sums: field('f32', [2, streamWarps, stream.rows, sumStride]),
  } as const;
}

/** Where the weights of a tile are. */
export interface TileWeights {
  /** The lane's two rows: lane / 4 and eight below. */
  readonly rows: readonly [Pointer<'global', 'b32'>, Pointer<'global', 'b32'>];
  /** For e4m3: of each, the scales of the block of rows that it is in. */
  readonly scales?: readonly [Pointer<'global', 'f32'>, Pointer<'global', 'f32'>];
}

/** A row of x. One that is not there counts as zeros, and is not read. */
export interface TileRow {
  readonly row: Pointer<'global', 'b32'>;
  readonly isThere: Value<'pred'>;
}

/** The parts of {@link streamLayout} in a kernel. */
export interface StreamShared {
  readonly stages: { readonly pointer: Pointer<'shared', 'b32'> };
  readonly kept: { readonly pointer: Pointer<'shared', 'b32'> };
  readonly sums: {
    at(...index: (number | Value<'u32'>)[]): Pointer<'shared', 'f32'>;
  };
}

/** What the tiles are. */
export interface Tiles {
  /** Multiple of {@link chunkDepth}. */
  readonly depth: Value<'u32'>;
  /** The tiles of this CTA: from `first` by steps to below `end`. */
  readonly first: Value<'u32'>;
  readonly step: Value<'u32'> | number;
  readonly end: Value<'u32'>;
  weights(tile: Value<'u32'>): TileWeights;
  /** The lane's row of x of each eight of a tile: lane / 4. */
  rows(tile: Value<'u32'>): readonly TileRow[];
  /** Which rows of x a tile has, where rows are kept and tiles differ in them. */
  rowsId?(tile: Value<'u32'>): Value<'u32'>;
  /** Called when the first weights are on their way, before any row of x is read. */
  beforeRows?(): void;
  /** By all threads: what to do with the sums of a tile, of which `sum` gives one. */
  finish(tile: Value<'u32'>, sum: (row: Value<'u32'>, weight: Value<'u32'>) => Value<'f32'>): void;
}

/**
 * Products of few rows with many rows of weights, which stream through shared memory once: a tile of 16
 * rows of weights is the first operand of multiplications on tensor cores, and rows of x are its second.
 * The depth is summed in no particular order, so that a lane takes neighbours in memory as what a fragment
 * holds apart. It thus reads nothing but what it has copied itself: copies need no barrier, and run ahead
 * of the multiplications from tile to tile. The warps of a CTA share out the depth; their sums meet in
 * shared memory, in a fixed order.
 */
export function streamTiles(k: Ops, config: TileStream, shared: StreamShared, tiles: Tiles): void {
  const { stages, rows, keptDepth } = config;
  const isScaled = config.weight === 'e4m3';
  const keepsRows = keptDepth > 0;
  const parts = rows / partRows;
  const { depth } = tiles;
  const quad = k.laneId.and(3);
  const weightBytes = isScaled ? 1 : 2;
  // Elements of a chunk that a lane has: 16, in two runs of 8 of a row of x.
  const runs = isScaled ? [0, 8] : [0, 32];
  const ofLane = quad.mul(isScaled ? 16 : 8).named('of_lane');
  const weightRuns = isScaled ? [0] : runs;
  const warp = k.shuffle(k.warpId, 0).named('warp');
  const warpBytes = stageBytes(config) / streamWarps;
  const step = streamWarps * chunkDepth;

  const ofThread = k.mad(warp, warpBytes, k.laneId.mul(16));
  const stageOf = (stage: Value<'u32'>) =>
    shared.stages.pointer.bytes(k.mad(stage, stageBytes(config), ofThread));
  const keptWarpBytes = keptLoads(config) * loadBytes;
  const kept = shared.kept.pointer.bytes(k.mad(warp, keptWarpBytes, k.laneId.mul(16))).folded();
  const rowsOffset = weightLoads(config) * loadBytes;
  const scaleOffset = rowsOffset + rowLoads(config) * loadBytes;

  // What is loaded next: a chunk of a tile.
  const ofWarp = warp.mul(chunkDepth).named('of_warp');
  const nextTile = k.var('u32', tiles.first).named('next_tile');
  const nextDepth = k.var('u32', ofWarp).named('next_depth');
  const addresses = {
    weights: k.vars('u64', 2, 0n),
    xs: k.vars('u64', keepsRows ? 0 : parts, 0n),
    rowBytes: k.vars('u32', keepsRows ? 0 : parts, 0),
    scales: k.vars('u64', isScaled ? 2 : 0, 0n),
  };
  const at = (address: Var<'u64'> | undefined) =>
    new Pointer('global', 'b32', address as Value<'u64'>);
  const rowsOf = (tile: Value<'u32'>) =>
    tiles.rows(tile).map(({ row, isThere }) => ({
      row: row.bytes(ofLane.mul(2)),
      // Many lanes and CTAs that read a row again in place of one that is not there wait for one another.
      bytes: k.select<'u32'>(isThere, 16, 0, 'u32'),
    }));
  const aim = () => {
    const { rows: ofLanes, scales } = tiles.weights(nextTile);
    ofLanes.forEach((pointer, i) => {
      addresses.weights[i]?.set(pointer.bytes(ofLane.mul(weightBytes)).address());
    });
    scales?.forEach((pointer, i) => {
      addresses.scales[i]?.set(pointer.address());
    });
    if (keepsRows) return;
    rowsOf(nextTile).forEach(({ row, bytes }, i) => {
      addresses.xs[i]?.set(row.address());
      addresses.rowBytes[i]?.set(bytes);
    });
  };
  /** The place of the scale of a lane's row of a stage. */
  const scaleOf = (stage: Pointer<'shared', 'b32'>, half: number) => {
    const lane = stage.address().sub(k.laneId.mul(12));
    return new Pointer('shared', 'b32', lane, scaleOffset + half * scaleBytes);
  };
  const loadWeights = (to: Pointer<'shared', 'b32'>) => {
    addresses.weights.forEach((address, half) => {
      const from = at(address).bytes(k.widen(nextDepth).mul(weightBytes));
      weightRuns.forEach((run, j) => {
        const place = to.bytes((half * weightRuns.length + j) * loadBytes);
        k.cpAsync(place, from.bytes(run * weightBytes), 16, { l2Prefetch: 128 });
      });
    });
    addresses.scales.forEach((address, half) => {
      k.cpAsync(scaleOf(to, half), at(address).at(nextDepth.shr(scaleShift)), 4);
    });
  };
  const loadRows = (
    to: Pointer<'shared', 'b32'>,
    from: ReturnType<typeof rowsOf>,
    begin: Value<'u32'>,
  ) => {
    from.forEach(({ row, bytes: sourceBytes }, part) => {
      const there = row.bytes(k.widen(begin).mul(2));
      runs.forEach((run, j) => {
        const place = to.bytes((part * partLoads + j) * loadBytes);
        k.cpAsync(place, there.bytes(run * 2), 16, { sourceBytes });
      });
    });
  };
  const nextRows = () =>
    addresses.xs.map((address, i) => ({
      row: at(address),
      bytes: addresses.rowBytes[i] as Value<'u32'>,
    }));
  const advance = () => {
    nextDepth.set(nextDepth.add(step));
    k.if(
      nextDepth.ge(depth),
      () => {
        nextDepth.set(ofWarp);
        nextTile.set(nextTile.add(tiles.step));
        k.if(nextTile.lt(tiles.end), aim, { uniform: true });
      },
      { uniform: true },
    );
  };
  const hasNext = () => nextTile.lt(tiles.end).and(nextDepth.lt(depth));

  const keepRows = (tile: Value<'u32'>) => {
    const from = rowsOf(tile);
    k.for({ from: ofWarp, to: depth, step, uniform: true, unroll: false }, (begin) => {
      const to = kept.bytes(begin.div(step).mul(parts * partLoads * loadBytes));
      loadRows(to, from, begin);
      k.cpAsyncCommit();
    });
  };

  k.section('first copies', () => {
    const eachStage = (load: (to: Pointer<'shared', 'b32'>) => void) => {
      k.if(nextTile.lt(tiles.end), aim, { uniform: true });
      for (let stage = 0; stage < stages; stage++) {
        const to = stageOf(k.constant('u32', stage));
        k.if(hasNext(), () => load(to), { uniform: true });
        k.cpAsyncCommit();
        advance();
      }
    };
    eachStage(loadWeights);
    tiles.beforeRows?.();
    if (!keepsRows) {
      nextTile.set(tiles.first);
      nextDepth.set(ofWarp);
      eachStage((to) => loadRows(to.bytes(rowsOffset), nextRows(), nextDepth));
    } else if (tiles.rowsId === undefined) {
      k.if(tiles.first.lt(tiles.end), () => keepRows(tiles.first), { uniform: true });
    }
  });

  const accumulators = Array.from({ length: parts }, () => k.vars('f32', 4, 0));
  const stage = k.var('u32', 0).named('stage');
  const buffer = k.var('u32', 0).named('buffer');
  const range = { from: tiles.first, to: tiles.end, step: tiles.step, name: 'tile' } as const;
  const keptId = k.var('u32', 0xffffffff).named('kept_id');
  // Chunks of rows of x that all warps have: one after another they are a group of copies.
  const keptChunks = Math.floor(keptDepth / step);
  const isFresh = k.var('u32', 1).named('is_fresh');
  k.for({ ...range, uniform: true, unroll: false }, (tile) => {
    const id = tiles.rowsId?.(tile);
    if (id) {
      const isOther = id.ne(keptId);
      k.if(
        isOther,
        () => {
          keepRows(tile);
          isFresh.set(1);
          keptId.set(id);
        },
        { uniform: true },
      );
    }
    for (const acc of accumulators) for (const sum of acc) sum.set(k.constant('f32', 0));
    const depths = { from: ofWarp, to: depth, step, name: 'depth', uniform: true } as const;
    const ofKept = k.var('u32', kept.address());
    k.for({ ...depths, unroll: false }, () => {
      // As many groups were begun after the one that holds a chunk's weights; and while rows of x arrive,
      // as many after the one that holds its rows.
      const pending = keepsRows ? Math.min(stages, Math.max(1, keptChunks)) : 1;
      k.if(
        isFresh.ne(0),
        () => k.cpAsyncWait(pending - 1),
        () => k.cpAsyncWait(stages - 1),
        { uniform: true },
      );
      const place = stageOf(stage).folded();
      const rowsAt = keepsRows
        ? new Pointer('shared', 'b32', ofKept as Value<'u32'>)
        : place.bytes(rowsOffset);
      multiply(place, rowsAt);
      if (keepsRows) ofKept.set(ofKept.add(parts * partLoads * loadBytes));
      const load = () => {
        loadWeights(place);
        if (!keepsRows) loadRows(place.bytes(rowsOffset), nextRows(), nextDepth);
      };
      k.if(hasNext(), load, { uniform: true });
      k.cpAsyncCommit();
      advance();
      stage.set(k.select(stage.eq(stages - 1), 0, stage.add(1), 'u32'));
    });
    isFresh.set(0);
    k.section('add up', () => {
      accumulators.forEach((acc, part) => {
        acc.forEach((sum, i) => {
          const row = quad.shl(1).add(part * partRows + (i & 1));
          const weight = k.laneId.shr(2).add((i >> 1) * 8);
          shared.sums.at(buffer, warp, row, weight).store(sum);
        });
      });
      k.barrier();
      tiles.finish(tile, (row, weight) =>
        Array.from({ length: streamWarps }, (_, w) =>
          shared.sums.at(buffer, w, row, weight).load(),
        ).reduce((a, b) => a.add(b)),
      );
      buffer.set(buffer.xor(1));
    });
  });

  /** Multiplies a chunk: four steps of 16 of the depth. */
  function multiply(place: Pointer<'shared', 'b32'>, rowsAt: Pointer<'shared', 'b32'>): void {
    const load = (from: Pointer<'shared', 'b32'>, i: number) =>
      from.bytes(i * loadBytes).loadVec(wordsOfLoad);
    const halves = [0, 1].map((half) =>
      weightRuns.map((_, j) => load(place, half * weightRuns.length + j)),
    );
    const xs = accumulators.map((_, part) =>
      runs.map((__, j) => load(rowsAt, part * partLoads + j)),
    );
    const target = isScaled ? accumulators.map(() => k.vars('f32', 4, 0)) : accumulators;
    for (let s = 0; s < 4; s++) {
      const [low, high] = halves.map((ofRow) => pairOf(ofRow, s));
      if (!low || !high) continue;
      const a = [low[0], high[0], low[1], high[1]];
      xs.forEach((ofPart, part) => {
        const run = ofPart[s >> 1] as Value<'b32'>[];
        const b = [0, 1].map((i) => (run[2 * (s & 1) + i] as Value<'b32'>).as('bf16x2'));
        k.mma('bf16', target[part] as Var<'f32'>[], a, b);
      });
    }
    if (isScaled) {
      const scales = [0, 1].map((half) => scaleOf(place, half).as('f32').load());
      target.forEach((ofPart, part) => {
        ofPart.forEach((sum, i) => {
          const total = accumulators[part]?.[i] as Var<'f32'>;
          total.set(k.fma(sum, scales[i >> 1] as Value<'f32'>, total));
        });
      });
    }
  }

  /** Elements 4·s … 4·s + 3 that a lane has of a row of weights, as two pairs. */
  function pairOf(loads: readonly (readonly Value<'b32'>[])[], s: number) {
    if (isScaled) {
      const [word] = (loads[0] as readonly Value<'b32'>[]).slice(s, s + 1);
      return word ? e4m3x4ToBf16x2(k, word.as('e4m3x4'), { nan: true }) : undefined;
    }
    const load = loads[s >> 1] as readonly Value<'b32'>[];
    const word = (i: number) => (load[2 * (s & 1) + i] as Value<'b32'>).as('bf16x2');
    return [word(0), word(1)] as const;
  }
}

/** As many stages as fit, of at most `most`. */
export function stagesWithin(
  bytes: number,
  stream: Omit<TileStream, 'stages'>,
  most: number,
): number {
  return Math.min(most, Math.floor((bytes - fixedBytes(stream)) / stageBytes(stream)));
}
