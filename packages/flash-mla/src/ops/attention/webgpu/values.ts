import { each, join } from '../../../runtime/webgpu/wgsl/text.ts';
import { plainRows, type RowFormat, type RowPart } from '../../kernel-lib/webgpu/row-format.ts';
import { type AttentionConfig, attentionShape } from './config.ts';
import { decodeColumns, partScale } from './rows.ts';

/** The rows that V is read from: those of the keys, or its own. */
export function valueRows(config: AttentionConfig): RowFormat {
  const [first] = config.keys.parts;
  return config.values && first ? plainRows(first.dtype, config.headDimV) : config.keys;
}

/** The parts of a value row that reach into the first `headDimV` columns. */
function valueParts(config: AttentionConfig): readonly RowPart[] {
  return valueRows(config).parts.filter((part) => part.firstColumn < config.headDimV);
}

/** Which columns and rows of the output an invocation keeps: constants of the whole kernel. */
export function outputPlace(config: AttentionConfig): string {
  const { columns, rowGroups } = config;
  const { columnSlots, rowsPerInvocation } = attentionShape(config);
  const [head, tail] = valueParts(config) as [RowPart, RowPart | undefined];
  const unit = (part: RowPart) =>
    `${part.firstUnit}u + (firstColumn - ${part.firstColumn}u) / ${part.unitColumns}u`;
  const share = (part: RowPart) => `firstColumn % ${part.unitColumns}u / ${columns}u`;
  return join(
    `let firstColumn = thread % ${columnSlots}u * ${columns}u;`,
    `let group = thread / ${columnSlots}u;`,
    `let tokenGroup = group / ${rowGroups}u;`,
    `let firstOutputRow = group % ${rowGroups}u * ${rowsPerInvocation}u;`,
    tail
      ? `let inTail = firstColumn >= ${tail.firstColumn}u;
        let valueUnit = select(${unit(head)}, ${unit(tail)}, inTail);
        let valueShare = select(${share(head)}, ${share(tail)}, inTail);`
      : `let valueUnit = ${unit(head)};
        let valueShare = ${share(head)};`,
  );
}

/** Declares the output of an invocation, `out_<row>_<vector>`: vec4 of neighbouring columns. */
export function declareOutputs(config: AttentionConfig): string {
  return eachOutput(config, (r, c) => `var out_${r}_${c} = vec4<f32>();`);
}

/** One line per output vector of an invocation. */
export function eachOutput(config: AttentionConfig, line: (row: number, c: number) => string) {
  const { rowsPerInvocation, columnVectors } = attentionShape(config);
  return each(rowsPerInvocation, (r) => each(columnVectors, (c) => line(r, c)));
}

/** Reads the weights of a token for the rows of this invocation as `weight_<row>`. */
function tokenWeights(config: AttentionConfig, slot: string): string {
  const { rowsPerInvocation, vectorsPerInvocation, vectors, width, weightOffset } =
    attentionShape(config);
  const first = `${weightOffset}u + ${slot} * ${vectors}u + firstOutputRow / ${width}u`;
  return join(
    each(vectorsPerInvocation, (g) => `let weights${g} = pool[${first} + ${g}u];`),
    each(rowsPerInvocation, (r) => {
      const vector = `weights${Math.floor(r / width)}`;
      return `let weight_${r} = ${width === 1 ? vector : `${vector}[${r % width}]`};`;
    }),
  );
}

/** out = out · keep + Σ weight · value over the tokens of a tile. */
export function tileValues(config: AttentionConfig): string {
  const { tokenGroups, unroll } = config;
  const { columnSlots, tileTokens } = attentionShape(config);
  const table = config.values ? 'valueAt' : 'keyAt';
  const read = config.values ? 'values16' : 'keys16';
  const step = config.values ? 'VALUES_STEP' : 'KEYS_STEP';
  const active = columnSlots * config.rowGroups * tokenGroups;
  return `if (${active < 256 ? `thread < ${active}u` : 'true'}) {
    ${eachOutput(config, (r, c) => `out_${r}_${c} *= perRow[firstOutputRow + ${r}u];`)}
    let tokens = min(${tileTokens}u, end - tile);
    for (var t = tokenGroup; t < tokens; t += ${tokenGroups * unroll}u) {
      ${each(
        unroll,
        (u) => `
          let slot${u} = t + ${u * tokenGroups}u;
          let at${u} = ${table}[slot${u}];
          let raw${u} = select(${read}(select(at${u}, 0u, at${u} == NOWHERE) + valueUnit * ${step}), vec4<u32>(), at${u} == NOWHERE);`,
      )}
      ${each(
        unroll,
        (u) => `{
          ${decodeValues(config, u)}
          ${tokenWeights(config, `slot${u}`)}
          ${eachOutput(config, (r, c) => `out_${r}_${c} += weight_${r} * value${c};`)}
        }`,
      )}
    }
  }
  workgroupBarrier();`;
}

function decodeValues(config: AttentionConfig, u: number): string {
  const { columnVectors } = attentionShape(config);
  const { scaleWords } = valueRows(config);
  const [head, tail] = valueParts(config) as [RowPart, RowPart | undefined];
  const decode = (part: RowPart) => {
    const tile = `(firstColumn - ${part.firstColumn}u) / ${part.scaleColumns}u`;
    const scale = partScale(part, scaleWords, `slot${u}`, tile);
    return decodeColumns(part, config.columns, `raw${u}`, 'valueShare', 'value', scale);
  };
  const declare = each(columnVectors, (c) => `var value${c}: vec4<f32>;`);
  return tail
    ? `${declare}\nif (inTail) {\n${decode(tail)}\n} else {\n${decode(head)}\n}`
    : `${declare}\n${decode(head)}`;
}
