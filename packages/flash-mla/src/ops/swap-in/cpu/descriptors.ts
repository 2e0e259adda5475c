import { defineCommand } from '../../../runtime/cpu/commands/define-command.ts';

/** The scratch of a thread: two numbers for each bucket, and a slot (u16) for each of the buffer. */
export const swapIn = defineCommand('swapIn', {
  scratchBytes: 'usize',
  numRequests: 'i32',
  topK: 'i32',
  /** Tokens of a request's buffer. */
  bufferSize: 'i32',
  pageSize: 'i32',
  /** Of a cache row. */
  rowBytes: 'usize',
  /** A power of two. */
  numBuckets: 'i32',
  positions: 'usize',
  seqLens: 'usize',
  /** Of a length: 4 or 8. */
  lengthBytes: 'i32',
  rows: 'usize',
  /** Of a row's number: 4 or 8. */
  rowNumberBytes: 'i32',
  numRows: 'i32',
  hostPages: 'usize',
  /** Pages of a row in the host's cache. */
  hostWidth: 'i32',
  numHostPages: 'i32',
  bufferPages: 'usize',
  numDevicePages: 'i32',
  slotTokens: 'usize',
  lruOrder: 'usize',
  hostCache: 'usize',
  deviceCache: 'usize',
  locations: 'usize',
  plannedHostRows: 'usize',
  plannedDeviceRows: 'usize',
  missCounts: 'usize',
});

/** Rows of a paged cache to rows of another one; an item is a part of a request's. */
export const copyRows = defineCommand('copyRows', {
  numRequests: 'i32',
  /** Rows of a request at most. */
  most: 'i32',
  rowBytes: 'usize',
  source: 'usize',
  target: 'usize',
  numSourceRows: 'i32',
  numTargetRows: 'i32',
  sourceRows: 'usize',
  targetRows: 'usize',
  /** 0: all rows are valid. */
  counts: 'usize',
});
