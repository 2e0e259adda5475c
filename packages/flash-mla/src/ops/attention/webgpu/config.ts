import type { E4m3Decoding } from '../../../runtime/webgpu/wgsl/numbers.ts';
import type { PartDType, RowFormat } from '../../kernel-lib/webgpu/row-format.ts';

/** Which operation the kernel serves: how it finds work and rows, and what it writes. */
export type AttentionWork = 'dense-decode' | 'sparse-decode' | 'sparse-prefill' | 'dense-attention';

/**
 * Everything that decides the text of an attention kernel: plain data, chosen by `selectAttention` and
 * printed by it.
 *
 * A workgroup of 256 invocations takes `rows` query rows and passes over keys in tiles of
 * 64 × `tokensPerQuad`. For the logits four invocations, a quad, share a token, a quarter of its columns
 * each; for the output each invocation keeps `columns` columns of `rows / rowGroups` rows, and
 * `tokenGroups` sets of invocations share the tokens of a tile.
 */
export interface AttentionConfig {
  readonly work: AttentionWork;
  readonly rows: 1 | 2 | 4 | 8 | 16;
  readonly tokensPerQuad: 1 | 2 | 4;
  readonly columns: 4 | 8;
  readonly rowGroups: number;
  readonly tokenGroups: number;
  /** Tokens whose values an invocation loads before it uses the first. */
  readonly unroll: number;
  /** Whether the words of a unit are written out: faster to run, slower to compile. */
  readonly unrollWords: boolean;
  readonly headDimQk: number;
  readonly headDimV: number;
  readonly query: PartDType;
  readonly keys: RowFormat;
  /** Bytes that all row addresses are a multiple of. */
  readonly keyAlignment: 1 | 4 | 16;
  /** Storage bindings that hold the rows, one after the other. */
  readonly keyBindings: number;
  /** Dense attention: V has rows of its own. Absent: V is the first columns of the key rows. */
  readonly values?: { readonly alignment: 1 | 4 | 16; readonly bindings: number };
  /** Dense: keys end per query row. */
  readonly causal: boolean;
  /** Optional arguments that are there: `topkLength`, `extraIndices`, … */
  readonly lists: readonly string[];
  /** Those of {@link lists} that share one binding because the device has too few. */
  readonly packed: readonly string[];
  /** How the lanes of a quad exchange partial sums. */
  readonly exchange: 'quads' | 'workgroup';
  readonly e4m3: E4m3Decoding;
}

/** Invocations of a workgroup: what every device offers. */
export const invocations = 256;

/** Invocations that share a token while logits are computed. */
export const lanes = 4;

/** Numbers that follow from a configuration. */
export interface AttentionShape {
  /** WGSL type that holds one value per row, or per four rows. */
  readonly vector: 'f32' | 'vec2<f32>' | 'vec4<f32>';
  /** Rows of a vector, and vectors that hold all rows. */
  readonly width: number;
  readonly vectors: number;
  /** Tokens of a tile. */
  readonly tileTokens: number;
  /** Logit vectors of a quad, and how many each lane keeps. */
  readonly items: number;
  readonly itemsPerLane: number;
  /** Invocations side by side along the columns of V. */
  readonly columnSlots: number;
  readonly rowsPerInvocation: number;
  readonly vectorsPerInvocation: number;
  /** vec4 that an invocation needs for its columns of one row. */
  readonly columnVectors: number;
  /** Where the queries of each key part begin in the pool, and its length, in vectors. */
  readonly queryOffsets: readonly number[];
  readonly weightOffset: number;
  readonly poolLength: number;
}

export function attentionShape(config: AttentionConfig): AttentionShape {
  const { rows, tokensPerQuad, columns, rowGroups } = config;
  const width = Math.min(4, rows);
  const vectors = rows / width;
  const tileTokens = (invocations / lanes) * tokensPerQuad;
  const items = vectors * tokensPerQuad;
  const queryOffsets: number[] = [];
  let offset = 0;
  for (const { units, unitColumns } of config.keys.parts) {
    queryOffsets.push(offset);
    offset += Math.ceil(units / lanes) * lanes * unitColumns * vectors;
  }
  // The queries' place also takes the outputs of one token group when the groups are added up.
  const weightOffset = Math.max(offset, (rows * config.headDimV) / width);
  const rowsPerInvocation = rows / rowGroups;
  return {
    vector: width === 1 ? 'f32' : width === 2 ? 'vec2<f32>' : 'vec4<f32>',
    width,
    vectors,
    tileTokens,
    items,
    itemsPerLane: items / lanes,
    columnSlots: config.headDimV / columns,
    rowsPerInvocation,
    vectorsPerInvocation: rowsPerInvocation / width,
    columnVectors: columns / 4,
    queryOffsets,
    weightOffset,
    poolLength: weightOffset + tileTokens * vectors,
  };
}

/** Workgroup memory of a kernel in bytes: what {@link workgroupVariables} declares. */
export function workgroupBytes(config: AttentionConfig): number {
  return workgroupVariables(config).reduce((sum, { bytes }) => sum + Math.ceil(bytes / 16) * 16, 0);
}

/** The workgroup memory of a kernel, declared once. */
export function workgroupVariables(config: AttentionConfig) {
  const { vector, width, tileTokens, poolLength } = attentionShape(config);
  const vectorBytes = 4 * width;
  const tables = [
    // Queries, then the weights of a tile; before those the lanes exchange their sums in their place.
    { name: 'pool', type: vector, length: poolLength, bytes: poolLength * vectorBytes },
    // One value per part of the workgroup and lane, on the way to one per row.
    { name: 'partials', type: vector, length: 32, bytes: 32 * vectorBytes },
    // One value per row for all invocations.
    { name: 'perRow', type: 'f32', length: config.rows, bytes: config.rows * 4 },
    // Where the queries and results of a row are.
    { name: 'queryRow', type: 'u32', length: config.rows, bytes: config.rows * 4 },
    { name: 'outputRow', type: 'u32', length: config.rows, bytes: config.rows * 4 },
    { name: 'keyAt', type: 'u32', length: tileTokens, bytes: tileTokens * 4 },
  ];
  if (config.values) {
    tables.push({ name: 'valueAt', type: 'u32', length: tileTokens, bytes: tileTokens * 4 });
  }
  const scales = config.keys.scaleWords * tileTokens;
  if (scales > 0)
    tables.push({ name: 'scaleWords', type: 'u32', length: scales, bytes: 4 * scales });
  return tables;
}
