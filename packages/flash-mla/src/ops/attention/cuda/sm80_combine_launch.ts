import type { Grid } from '../../../runtime/cuda/driver/driver.ts';
import type { BindContext, Call, KernelSpec, LaunchPlan } from '../../../runtime/cuda/kernel.ts';
import type { DeviceLimits } from '../../../runtime/cuda/limits.ts';
import { fixedSplits, maxTotalSplits } from '../schedule/tile-scheduler.ts';
import type { SchedulePlan } from '../schedule-contract.ts';
import {
  buildCombine,
  type CombineConfig,
  type CombineParams,
  combineWarps,
} from './sm80_combine.ts';

export const combineSpec: KernelSpec<CombineConfig, CombineParams> = {
  name: 'sm80_combine',
  build: buildCombine,
};

export type CombineLaunch = LaunchPlan<CombineConfig, CombineParams>;

/** The results of splits of one decode call. */
export interface SplitResults {
  /** How many partial results there can be; 0: no request can be split. */
  readonly slots: number;
  /** The most blocks of a request. */
  readonly mostBlocks: number;
  /** The most splits of a request. */
  readonly mostSplits: number;
  /** Slots that each request has for itself; 0: they follow one another as `numSplits` says. */
  readonly slotsPerRequest: number;
  /** Bytes of the outputs, which come first in the workspace, and of everything. */
  readonly outputBytes: number;
  readonly workspaceBytes: number;
}

/** Queries × heads, and columns of V. */
export interface DecodeRows {
  readonly batch: number;
  readonly seqLenQ: number;
  readonly numHeadsQ: number;
  readonly headDimV: number;
}

/**
 * Room for the splits that a schedule can lead to. `maxBlocks`: the most blocks of a request;
 * `partial`: see {@link CombineConfig}; `scheduledBlocks`: the most blocks of a request that the schedule
 * may count, where it does not know `maxBlocks`. Fixed splits behind those of `maxBlocks` are left out.
 */
export function planSplits(
  rows: DecodeRows,
  plan: SchedulePlan,
  maxBlocks: number,
  partial: CombineConfig['partial'],
  scheduledBlocks = maxBlocks,
): SplitResults {
  const isFixed = plan.splitBlocks > 0;
  const most = maxTotalSplits(plan, rows.batch, isFixed ? maxBlocks : scheduledBlocks);
  const slots = most > rows.batch ? most : 0;
  const mostSplits = isFixed ? fixedSplits(plan, maxBlocks) : Math.max(1, slots);
  const perSlot = rows.seqLenQ * rows.numHeadsQ;
  const [valueBytes, statisticBytes] = partial === 'f16' ? [2, 8] : [4, 4];
  const outputBytes = slots * perSlot * rows.headDimV * valueBytes;
  return {
    slots,
    mostBlocks: maxBlocks,
    mostSplits,
    slotsPerRequest: isFixed ? mostSplits : 0,
    outputBytes,
    workspaceBytes: outputBytes + slots * perSlot * statisticBytes,
  };
}

/** Warps that an SM holds at once, given the registers that their loads take. */
const warpsPerSm = 24;

/** Rows and how their splits come to be. */
type CombineProblem = DecodeRows & { readonly plan: SchedulePlan };

/** Warps that share a row. */
export function combineWarpsPerRow(
  { batch, seqLenQ, numHeadsQ }: CombineProblem,
  { smCount }: DeviceLimits,
  partial: CombineConfig['partial'],
): CombineConfig['warpsPerRow'] {
  const wanted = (smCount * warpsPerSm) / (batch * seqLenQ * numHeadsQ);
  // Four warps read 512 columns in the widest loads; more of them only where rows are very few, and
  // then each lane at least a whole word.
  const most = partial === 'f16' ? 8 : 16;
  return wanted > most ? most : wanted > 3 ? 4 : wanted > 1.5 ? 2 : 1;
}

/** Splits that a warp reads at once. */
export function combineSplitsAtOnce({
  plan,
  batch,
}: CombineProblem): CombineConfig['splitsAtOnce'] {
  return powerOfTwo(plan.numParts / Math.max(1, batch));
}

export function planCombine(
  config: Omit<CombineConfig, 'warpsPerRow' | 'splitsAtOnce'>,
  problem: CombineProblem,
  limits: DeviceLimits,
): CombineLaunch {
  const warpsPerRow = combineWarpsPerRow(problem, limits, config.partial);
  const splitsAtOnce = combineSplitsAtOnce(problem);
  const launch: CombineLaunch = {
    kernel: combineSpec,
    config: { ...config, warpsPerRow, splitsAtOnce },
    grid: combineGrid(problem, warpsPerRow),
  };
  return config.overlaps ? { ...launch, overlap: true } : launch;
}

const powersOfTwo = [2, 4, 8, 16, 32, 64] as const;

/** The power of two that is nearest to the splits of a request, within what a warp can read at once. */
function powerOfTwo(splits: number): CombineConfig['splitsAtOnce'] {
  for (const size of powersOfTwo) if (splits < size * Math.SQRT2) return size;
  return 64;
}

/** What changes between calls. */
export interface CombineAddresses {
  readonly workspace: number;
  readonly numSplits: number;
  readonly out: number;
  readonly lse: number;
  readonly sink: number;
}

/** A function that enqueues the combine kernel. */
export function bindCombine(context: BindContext, launch: CombineLaunch) {
  const combine = context.prepare(launch);
  const { set } = combine;
  const { warpsPerRow } = launch.config;
  return (
    addresses: CombineAddresses,
    splits: SplitResults,
    rows: DecodeRows,
    call: Call,
  ): void => {
    set.partialOut(addresses.workspace);
    set.partialLse(addresses.workspace + splits.outputBytes);
    set.numSplits(addresses.numSplits);
    set.out(addresses.out);
    set.lse(addresses.lse);
    set.sink(addresses.sink);
    set.seqLenQ(rows.seqLenQ);
    set.numHeadsQ(rows.numHeadsQ);
    set.slots(splits.slots);
    set.slotsPerRequest(splits.slotsPerRequest);
    combine.enqueue(call, combineGrid(rows, warpsPerRow));
  };
}

function combineGrid({ batch, seqLenQ, numHeadsQ }: DecodeRows, warpsPerRow: number): Grid {
  return [Math.ceil((seqLenQ * numHeadsQ * warpsPerRow) / combineWarps), batch, 1];
}
