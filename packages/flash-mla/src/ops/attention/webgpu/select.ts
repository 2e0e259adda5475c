import { InvalidArgumentError } from '@flash-mla/core';
import type { Capabilities } from '../../../runtime/webgpu/runtime/limits.ts';
import type { PartDType, RowFormat } from '../../kernel-lib/webgpu/row-format.ts';
import type { AttentionConfig, AttentionWork } from './config.ts';
import { workgroupBytes } from './config.ts';

/** What decides an attention kernel. */
export interface AttentionProblem {
  readonly work: AttentionWork;
  /** Query rows that attend to the same keys. */
  readonly numRows: number;
  readonly headDimQk: number;
  readonly headDimV: number;
  readonly query: PartDType;
  readonly keys: RowFormat;
  readonly keyAlignment: 1 | 4 | 16;
  readonly keyBindings: number;
  readonly values?: { readonly alignment: 1 | 4 | 16; readonly bindings: number };
  readonly causal: boolean;
  readonly lists: readonly string[];
}

/** Bindings other than inputs named in `lists` and rows: the queries and the outputs. */
const fixedBindings: Readonly<Record<AttentionWork, number>> = {
  'dense-decode': 2,
  'sparse-decode': 2,
  'sparse-prefill': 4,
  'dense-attention': 3,
};

/** Inputs that each kind of work always has. */
const fixedLists: Readonly<Record<AttentionWork, readonly string[]>> = {
  'dense-decode': ['seqlens', 'blockTable', 'metadata', 'numSplits'],
  'sparse-decode': ['indices', 'metadata', 'numSplits'],
  'sparse-prefill': ['indices'],
  'dense-attention': [],
};

/** Inputs in the order in which they give up their own binding: the smallest first. */
const packingOrder = [
  'sink',
  'numSplits',
  'seqlens',
  'seqlensK',
  'topkLength',
  'extraTopkLength',
  'cuSeqlensQ',
  'cuSeqlensK',
  'metadata',
  'blockTable',
  'extraIndices',
  'indices',
] as const;

/**
 * Picks a kernel: as many rows as there are and as fit into workgroup memory, since each key that is
 * read and decoded serves all of them. Pure: the same problem on the same device gets the same kernel,
 * whatever the batch. Throws {@link InvalidArgumentError} where the device has too few bindings.
 */
export function selectAttention(
  problem: AttentionProblem,
  capabilities: Capabilities,
): AttentionConfig {
  let rows: number = capabilities.tuning.mostRows;
  while (rows > 1 && rows / 2 >= problem.numRows) rows /= 2;
  for (; ; rows /= 2) {
    const config = withRows(problem, rows as AttentionConfig['rows'], capabilities);
    if (rows === 1 || workgroupBytes(config) <= capabilities.workgroupBytes) return config;
  }
}

function withRows(
  problem: AttentionProblem,
  rows: AttentionConfig['rows'],
  capabilities: Capabilities,
): AttentionConfig {
  const { numRows: _, headDimV, ...rest } = problem;
  const { tuning } = capabilities;
  const kind = rows <= tuning.fewRows ? 'few' : 'many';
  // A quad exchanges at least four vectors, one for each lane.
  const tokensPerQuad =
    rows <= 4 ? 4 : rows === 8 && tuning.tokensPerQuad[kind] === 1 ? 2 : tuning.tokensPerQuad[kind];
  const columns = headDimV < 16 ? 4 : tuning.columns[kind];
  const groups = Math.min(16, 2 ** Math.floor(Math.log2((256 * columns) / headDimV)));
  const rowGroups = Math.min(groups, Math.max(1, rows / Math.max(4, tuning.rowsPerInvocation)));
  return {
    ...rest,
    headDimV,
    rows,
    tokensPerQuad,
    columns,
    rowGroups,
    tokenGroups: groups / rowGroups,
    unroll: tuning.unroll,
    unrollWords: tuning.unrollWords,
    packed: pack(problem, capabilities),
    exchange: capabilities.quads ? 'quads' : 'workgroup',
    e4m3: capabilities.halfSubnormals ? 'half' : 'exact',
  };
}

function pack(problem: AttentionProblem, { storageBuffers }: Capabilities): readonly string[] {
  const lists = [...fixedLists[problem.work], ...problem.lists];
  const others =
    fixedBindings[problem.work] + problem.keyBindings + (problem.values?.bindings ?? 0);
  if (others + lists.length <= storageBuffers) return [];
  const inOrder = packingOrder.filter((name) => lists.includes(name));
  // The packed ones share one binding, so that packing starts to pay with the second.
  const count = others + lists.length + 1 - storageBuffers;
  if (count <= inOrder.length) return inOrder.slice(0, count);
  throw new InvalidArgumentError(
    'kCache',
    `rows in at most ${storageBuffers - fixedBindings[problem.work] - 1} bindings of this adapter's size`,
    `${others - fixedBindings[problem.work]}`,
    'Use a smaller cache, or several with a call each.',
  );
}
