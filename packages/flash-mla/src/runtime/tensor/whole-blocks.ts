import { type DType, InvalidArgumentError } from '@flash-mla/core';
import { packedRows } from './packed-rows.ts';

/**
 * The blocks of a `model1` cache, which keep the scales of all their tokens behind the last row: a view
 * that shows part of a block would look for them where others' values are. `v32` rows carry their
 * scales themselves, so that any of them can be viewed alone.
 */
export interface WholeBlocks {
  /** Tokens of a block. */
  readonly page: number;
  /** Bytes from one block to the next. */
  readonly blockBytes: number;
  /** Byte offset of the first block. */
  readonly begin: number;
  /** Whether this library made the cache; otherwise it was guessed from a tensor's shape. */
  readonly known: boolean;
}

/** What describes a view. */
export interface ViewShape {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly byteOffset: number;
}

const { rowBytes } = packedRows.model1;

/** The blocks of a tensor that has the shape of a `model1` cache. */
export function blocksOf(view: ViewShape, known: boolean): WholeBlocks | undefined {
  if (!hasModel1Shape(view)) return undefined;
  const page = view.shape[1] as number;
  const blockBytes = view.strides[0] || page * rowBytes;
  return { page, blockBytes, begin: view.byteOffset, known };
}

/** Whether a view has the shape of a `model1` cache, but not the blocks. */
export function cutsBlocks(blocks: WholeBlocks, view: ViewShape): boolean {
  if (!hasModel1Shape(view)) return false;
  const { page, blockBytes, begin } = blocks;
  const [count = 0, tokens = 0] = view.shape;
  const [blockStride = 0, rowStride = 0] = view.strides;
  return (
    tokens !== page ||
    (tokens > 1 && rowStride !== rowBytes) ||
    (count > 1 && blockStride % blockBytes !== 0) ||
    (view.byteOffset - begin) % blockBytes !== 0
  );
}

/** Refuses a view that cuts the blocks of a cache that this library made. */
export function checkView(
  argument: string,
  blocks: WholeBlocks | undefined,
  view: ViewShape,
): void {
  if (blocks?.known && cutsBlocks(blocks, view)) throw cutBlocksError(argument, blocks, view);
}

export function cutBlocksError(
  argument: string,
  { page, blockBytes }: WholeBlocks,
  { shape, strides, byteOffset }: ViewShape,
): InvalidArgumentError {
  return new InvalidArgumentError(
    argument,
    `whole model1 blocks of ${page} tokens, ${blockBytes} bytes apart (their scales follow the last row)`,
    `a view of shape (${shape.join(', ')}), strides (${strides.join(', ')}) at byte ${byteOffset}`,
    'Write single tokens with appendKvCache(), or slice along blocks (dimension 0).',
  );
}

function hasModel1Shape({ dtype, shape }: ViewShape): boolean {
  return dtype === 'u8' && shape.length === 4 && shape[2] === 1 && shape[3] === rowBytes;
}
