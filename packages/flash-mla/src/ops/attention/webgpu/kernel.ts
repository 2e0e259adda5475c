import {
  type KernelSource,
  kernel,
  type StorageBinding,
} from '../../../runtime/webgpu/wgsl/kernel.ts';
import {
  decode16,
  decodeE4m3,
  decodeE8m0,
  encode16,
} from '../../../runtime/webgpu/wgsl/numbers.ts';
import { Params } from '../../../runtime/webgpu/wgsl/params.ts';
import { each, join } from '../../../runtime/webgpu/wgsl/text.ts';
import { type AttentionConfig, attentionShape, invocations, workgroupVariables } from './config.ts';
import { finishFunctions, finishPiece } from './finish.ts';
import { tileLogits } from './logits.ts';
import { placeRows, queryReader, stageQueries } from './queries.ts';
import { rowBindings, rowReader } from './rows.ts';
import { laneVector, tileWeights } from './softmax.ts';
import { declareOutputs, outputPlace, tileValues } from './values.ts';
import type { Work } from './work.ts';
import { model1Reader } from './work-sparse-decode.ts';
import { workOf } from './works.ts';

/**
 * The attention kernel of every operation: out = softmax(scale · Q Kᵀ) V for some query rows over some
 * keys, in tiles, with an online softmax and float32 sums.
 */
export function attentionKernel(config: AttentionConfig): KernelSource {
  const work = workOf(config);
  const { vector } = attentionShape(config);
  const keys = rowBindings('keys', config.keyAlignment, config.keyBindings);
  const { values } = config;
  const own = values ? rowBindings('values', values.alignment, values.bindings) : undefined;
  const params = new Params({ ...work.params, ...keys.params, ...own?.params });
  const quads = config.exchange === 'quads';

  return kernel(
    attentionName(config),
    params,
    [
      { name: 'queries', access: 'read', element: 'u32' },
      ...listBindings(config, work),
      ...keys.storage,
      ...(own?.storage ?? []),
      ...work.outputs,
    ],
    join(
      `alias Vector = ${vector};`,
      'const NOWHERE = 0xffffffffu;',
      '// A logit that does not count. Finite, because WGSL may assume that there are no infinities.',
      'const MASKED = -1e30;',
      'const LN2 = 0.6931471805599453;',
      decode16,
      work.results === 'final' && encode16,
      usesE4m3(config) && decodeE4m3(config.e4m3),
      config.keys.scales === 'beside' && decodeE8m0,
      rowReader('keys', config.keyAlignment, config.keyBindings),
      values && rowReader('values', values.alignment, values.bindings),
      config.keys.scales === 'beside' && model1Reader(config.keyAlignment),
      queryReader(config),
      finishFunctions(config),
      ...workgroupVariables(config).map(
        ({ name, type, length }) => `var<workgroup> ${name}: array<${type}, ${length}>;`,
      ),
      `@compute @workgroup_size(${invocations})
      fn main(
        @builtin(workgroup_id) workgroup: vec3<u32>,
        @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32,
      ) {
        let lane = thread % 4u;
        let quad = thread / 4u;
        let vectorOfLane = ${laneVector(config)};
        ${outputPlace(config)}
        ${work.body(attendToPiece(config, work))}
      }`,
    ),
    quads ? ['subgroups'] : [],
  );
}

/** The tile loop: rows → logits → weights → output. */
function attendToPiece(config: AttentionConfig, work: Work): string {
  const { tileTokens } = attentionShape(config);
  return `
    ${placeRows(config, work)}
    ${stageQueries(config)}
    var maximum = Vector(MASKED);
    var sum = Vector();
    ${declareOutputs(config)}
    ${rowLimits(config, work)}
    for (var tile = begin; tile < end; tile += ${tileTokens}u) {
      for (var slot = thread; slot < ${tileTokens}u; slot += ${invocations}u) {
        let token = tile + slot;
        ${work.locate}
      }
      workgroupBarrier();
      ${tileLogits(config)}
      ${tileWeights(config)}
      ${tileValues(config)}
    }
    ${finishPiece(config, work)}`;
}

/** Causal: the token that ends what each row of a lane's vector sees. */
function rowLimits(config: AttentionConfig, work: Work): string {
  const { width } = attentionShape(config);
  if (!work.limit) return '';
  const limit = work.limit;
  return `
    var limit: ${width === 1 ? 'u32' : `vec${width}<u32>`};
    ${each(
      width,
      (k) => `{
        let row = firstRow + vectorOfLane * ${width}u + ${k}u;
        limit${width === 1 ? '' : `[${k}]`} = ${limit('row')};
      }`,
    )}`;
}

function listBindings(config: AttentionConfig, work: Work): StorageBinding[] {
  const own = work.lists.filter((name) => !config.packed.includes(name));
  const names = config.packed.length > 0 ? [...own, 'lists'] : own;
  return names.map((name) => ({ name, access: 'read', element: 'i32' }));
}

function usesE4m3({ query, keys }: AttentionConfig): boolean {
  return query === 'e4m3' || keys.parts.some(({ dtype }) => dtype === 'e4m3');
}

/** A readable name that tells every choice. */
export function attentionName(config: AttentionConfig): string {
  const { work, query, keys, headDimQk, headDimV, rows, tokensPerQuad, exchange } = config;
  const parts = [
    `${work} ${query}×${keys.name} ${headDimQk}/${headDimV}`,
    `${rows} rows × ${64 * tokensPerQuad} tokens`,
    `${config.columns} columns, ${config.rowGroups}·${config.tokenGroups} groups, unroll ${config.unroll}${config.unrollWords ? ' and words' : ''}`,
    `align ${config.keyAlignment}${config.values ? `/${config.values.alignment}` : ''}`,
    `exchange by ${exchange}`,
  ];
  if (usesE4m3(config)) parts.push(`e4m3 by ${config.e4m3}`);
  if (config.keyBindings > 1) parts.push(`${config.keyBindings} key bindings`);
  if (config.values && config.values.bindings > 1)
    parts.push(`${config.values.bindings} value bindings`);
  if (config.causal) parts.push('causal');
  if (config.lists.length > 0) parts.push(config.lists.join('+'));
  if (config.packed.length > 0) parts.push(`packed ${config.packed.join('+')}`);
  return parts.join(', ');
}
