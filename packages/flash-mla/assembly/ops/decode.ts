/** Hands the items of a decoding call to the threads, round by round; see splits.ts. */

import { barrier, takeItem, takeSecondItem } from '../work';
import { denseItem, startDenseGroup } from './dense-decode';
import { sparseItem, startSparseGroup } from './sparse-decode';
import {
  combine,
  combineItems,
  findSplit,
  slotsInRound,
  splitsOf,
  storePartial,
} from './splits';
import { writeTile } from '../attend/finish';

export const DENSE: i32 = 0;
export const SPARSE: i32 = 1;

/** The tile that the kernel's `start…Group` chose: its rows. */
let rowCount: i32 = 0;
let firstRow: i32 = 0;

export function setGroupRows(count: i32, first: i32): void {
  rowCount = count;
  firstRow = first;
}

export function runDecode(kind: i32, batch: i32, groupsPerRequest: i32): void {
  const groups = batch * groupsPerRequest;
  const capacity = slotsInRound();
  const chunks = combineItems();
  let group = 0;
  let roundBegin = 0;
  let combinedBefore = 0;
  let item = takeItem();
  let combineItem = -1;
  while (group < groups) {
    // How far the slots reach.
    let next = group;
    let roundEnd = roundBegin;
    let used = 0;
    let splitGroups = 0;
    while (next < groups) {
      const splits = splitsOf(next / groupsPerRequest);
      if (splits > 1) {
        if (used + splits > capacity) break;
        used += splits;
        splitGroups++;
      }
      roundEnd += splits;
      next++;
    }

    let at = group;
    let base = roundBegin;
    let slot = 0;
    while (item < roundEnd) {
      let splits = splitsOf(at / groupsPerRequest);
      while (item >= base + splits) {
        base += splits;
        if (splits > 1) slot += splits;
        at++;
        splits = splitsOf(at / groupsPerRequest);
      }
      runItem(kind, at / groupsPerRequest, at % groupsPerRequest, item - base, splits, slot);
      item = takeItem();
    }

    if (splitGroups > 0) {
      barrier();
      const combinedEnd = combinedBefore + splitGroups * chunks;
      if (combineItem < 0) combineItem = takeSecondItem();
      at = group;
      slot = 0;
      base = combinedBefore;
      while (combineItem < combinedEnd) {
        let splits = splitsOf(at / groupsPerRequest);
        while (splits == 1 || combineItem >= base + chunks) {
          if (splits > 1) {
            slot += splits;
            base += chunks;
          }
          at++;
          splits = splitsOf(at / groupsPerRequest);
        }
        startGroup(kind, at / groupsPerRequest, at % groupsPerRequest);
        combine(slot, splits, combineItem - base, rowCount, firstRow);
        combineItem = takeSecondItem();
      }
      combinedBefore = combinedEnd;
      if (next < groups) barrier();
    }
    group = next;
    roundBegin = roundEnd;
  }
}

function startGroup(kind: i32, request: i32, tile: i32): i32 {
  return kind == DENSE ? startDenseGroup(request, tile) : startSparseGroup(request, tile);
}

function runItem(kind: i32, request: i32, tile: i32, split: i32, splits: i32, slot: i32): void {
  const blocks = startGroup(kind, request, tile);
  findSplit(request, split, blocks);
  if (kind == DENSE) denseItem(rowCount, firstRow);
  else sparseItem(rowCount, firstRow);
  if (splits == 1) writeTile(firstRow);
  else storePartial(slot + split);
}
