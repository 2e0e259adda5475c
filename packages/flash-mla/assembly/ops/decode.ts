/**
 * Hands the items of a decoding call to the threads, round by round; see splits.ts. A kernel asks for one step
 * after the other, and does each for the group (request and tile) that it is told:
 *
 *     startDecode(command, plan, batch, tilesPerRequest);
 *     for (let step = nextStep(); step != DONE; step = nextStep()) {
 *       const blocks = …                  // points the tile's outputs at the group
 *       if (step == COMBINE) combineSplits(rowCount, firstRow);
 *       else {
 *         findBlocks(blocks);
 *         …                               // attends to beginBlock … endBlock
 *         endItem(firstRow);
 *       }
 *     }
 */

import { writeTile } from '../attend/finish';
import { DecodePlan } from '../generated/attention';
import { Command } from '../work';
import { combine, combineItems, findSplit, splitsOf, storePartial } from './splits';

// Steps.
export const DONE: i32 = 0;
/** Attend to a split of the group. */
export const ATTEND: i32 = 1;
/** Fold the splits of the group, for some of its columns. */
export const COMBINE: i32 = 2;

/** The group of the step. */
export let request: i32 = 0;
export let tile: i32 = 0;

// The step: its split or its chunk of columns, the splits of the group and the slot of the first of them.
let part: i32 = 0;
let splits: i32 = 0;
let slot: i32 = 0;

let command: Command = changetype<Command>(0);
let plan: DecodePlan = changetype<DecodePlan>(0);
let slots: usize = 0;
let groups: i32 = 0;
let tilesPerRequest: i32 = 1;
let chunks: i32 = 0;

// The round: its groups and items, and how far combine items of the rounds before it go.
let roundFirst: i32 = 0;
let roundEnd: i32 = 0;
let firstItem: i32 = 0;
let endItems: i32 = 0;
let splitGroups: i32 = 0;
let combined: i32 = 0;
let isCombining: bool = false;

// Items that the thread has taken and not yet done; −1: none.
let item: i32 = -1;
let combineItem: i32 = -1;

// Where the thread is among the groups of the round, and the first item of that group.
let group: i32 = 0;
let base: i32 = 0;

export function startDecode(
  ofCommand: Command,
  ofPlan: DecodePlan,
  batch: i32,
  tilesOfRequest: i32,
): void {
  command = ofCommand;
  plan = ofPlan;
  slots = command.shared(plan.scratchBytes);
  tilesPerRequest = tilesOfRequest;
  groups = batch * tilesOfRequest;
  chunks = combineItems();
  roundEnd = 0;
  endItems = 0;
  splitGroups = 0;
  combined = 0;
  item = -1;
  combineItem = -1;
  isCombining = true;
}

/** What the thread does next. */
export function nextStep(): i32 {
  while (true) {
    if (!isCombining) {
      if (item < 0) item = command.takeItem();
      if (item < endItems) {
        findItem();
        item = -1;
        return ATTEND;
      }
      if (splitGroups > 0) command.barrier();
      isCombining = true;
      rewind(combined);
    }
    if (splitGroups > 0) {
      const end = combined + splitGroups * chunks;
      if (combineItem < 0) combineItem = command.takeSecondItem();
      if (combineItem < end) {
        findCombineItem();
        combineItem = -1;
        return COMBINE;
      }
      combined = end;
      // The slots are needed again.
      if (roundEnd < groups) command.barrier();
    }
    if (roundEnd == groups) return DONE;
    startRound();
  }
}

/** As many groups as the slots hold. */
function startRound(): void {
  roundFirst = roundEnd;
  firstItem = endItems;
  splitGroups = 0;
  let used = 0;
  while (roundEnd < groups) {
    const count = splitsOf(plan, roundEnd / tilesPerRequest);
    if (count > 1) {
      if (used + count > plan.slotCount) break;
      used += count;
      splitGroups++;
    }
    endItems += count;
    roundEnd++;
  }
  isCombining = false;
  rewind(firstItem);
}

/** Back to the first group of the round, whose first item has this number. */
function rewind(first: i32): void {
  group = roundFirst;
  slot = 0;
  base = first;
}

function findItem(): void {
  splits = splitsOf(plan, group / tilesPerRequest);
  while (item >= base + splits) {
    base += splits;
    if (splits > 1) slot += splits;
    group++;
    splits = splitsOf(plan, group / tilesPerRequest);
  }
  setStep(item - base);
}

function findCombineItem(): void {
  splits = splitsOf(plan, group / tilesPerRequest);
  while (splits == 1 || combineItem >= base + chunks) {
    if (splits > 1) {
      slot += splits;
      base += chunks;
    }
    group++;
    splits = splitsOf(plan, group / tilesPerRequest);
  }
  setStep(combineItem - base);
}

function setStep(ofGroup: i32): void {
  request = group / tilesPerRequest;
  tile = group % tilesPerRequest;
  part = ofGroup;
}

/** Finds the blocks of the item at hand, of the `blocks` that its request has. */
export function findBlocks(blocks: i32): void {
  findSplit(plan, request, part, blocks);
}

/** The item at hand is attended to: writes its result, or leaves it to be combined. */
export function endItem(firstRow: i32): void {
  if (splits == 1) writeTile(firstRow);
  else storePartial(slots + <usize>(slot + part) * plan.slotBytes);
}

/** Does the combine item at hand, of a tile of so many rows. */
export function combineSplits(rowCount: i32, firstRow: i32): void {
  const slotBytes = plan.slotBytes;
  combine(slots + <usize>slot * slotBytes, slotBytes, splits, part, rowCount, firstRow);
}
