import { addressOf } from '../../../runtime/cpu/commands/address.ts';
import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import type { Values } from '../../../runtime/cpu/commands/schema.ts';
import { fixedSplits } from '../schedule/tile-scheduler.ts';
import type { Schedule } from '../schedule-contract.ts';
import type { decodePlan } from './descriptors.ts';
import { maxTileRows } from './plan.ts';

/** Partial results may take this much; a call that needs more runs in several rounds. */
const slotBudget = 24 * 2 ** 20;

/** The shape of a tile: query rows that share keys. */
export interface TileShape {
  readonly rows: number;
  readonly headDimQk: number;
  readonly headDimV: number;
  readonly separateValues: boolean;
}

/** Bytes of scratch for each thread. */
export function scratchOf(
  { kernels }: CommandContext,
  shape: TileShape,
  tileRows = maxTileRows,
): number {
  const { rows, headDimQk, headDimV, separateValues } = shape;
  return kernels.scratchBytes(rows, tileRows, headDimQk, headDimV, separateValues ? 1 : 0);
}

/** How a decode command cuts rows into tiles and how many partial results it keeps at once. */
export interface DecodeWorkspace {
  readonly plan: Values<typeof decodePlan.fields>;
  readonly workspaceBytes: number;
}

/**
 * Plans a decode command: its schedule and the sizes of its workspace. All splits of one tile must fit at once: where a request has
 * very many, tiles become smaller, which changes no result.
 *
 * @param maxBlocks the most blocks that a request can have.
 * @param groups sets of `shape.rows` rows that a request has.
 */
export function decodePlanOf(
  context: CommandContext,
  shape: TileShape,
  { plan, metadata, numSplits }: Schedule,
  maxBlocks: number,
  groups: number,
  batch: number,
): DecodeWorkspace {
  const { splitBlocks, numParts } = plan;
  const splits = Math.max(1, splitBlocks > 0 ? fixedSplits(plan, maxBlocks) : numParts);
  const { kernels, workers } = context;
  let tileRows = maxTileRows;
  while (
    tileRows > 16 &&
    splits * kernels.slotBytes(shape.rows, tileRows, shape.headDimV) > slotBudget
  ) {
    tileRows /= 2;
  }
  const slotBytes = kernels.slotBytes(shape.rows, tileRows, shape.headDimV);
  const tiles = groups * Math.ceil(shape.rows / tileRows);
  const total = splits === 1 ? 0 : splitBlocks > 0 ? batch * splits : 2 * numParts;
  const slotCount = Math.max(splits, Math.min(total * tiles, Math.floor(slotBudget / slotBytes)));
  const scratchBytes = scratchOf(context, shape, tileRows);
  return {
    plan: {
      metadata: addressOf(metadata),
      numParts,
      numSplits: addressOf(numSplits),
      splitBlocks,
      mostSplits: splits,
      tileRows,
      scratchBytes,
      slotBytes,
      slotCount: splits === 1 ? 0 : slotCount,
    },
    workspaceBytes: workers * scratchBytes + (splits === 1 ? 0 : slotCount * slotBytes),
  };
}
