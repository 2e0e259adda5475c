import {
  defineKernel,
  f32ToE4m3x2,
  global,
  type Kernel,
  type Ops,
  type ParamDecls,
  segmentSum,
  type Value,
} from '@flash-mla/ptx';
import { loadOne, type RowDType } from '../../kernel-lib/cuda/rows/columns.ts';
import { indexDim, indexRopeDim, largestE4m3, leastMagnitude } from '../limits.ts';

/** What the code depends on. */
export interface IndexRowsConfig {
  readonly kind: 'queries' | 'keys';
  readonly x: RowDType;
  /** Of the weights of queries, or of the norm of keys. */
  readonly weights: RowDType;
  readonly interleaved: boolean;
  readonly hadamard: boolean;
}

const params = {
  x: global('u8'),
  cos: global('f32'),
  sin: global('f32'),
  positions: global('u32'),
  /** Weights of queries, or weight of the norm. */
  weights: global('u8'),
  bias: global('u8'),
  slots: global('u32'),
  /** Quantised queries, or the cache. */
  out: global('u8'),
  outWeights: global('f32'),
  /** rows · heads. */
  vectors: 'u32',
  heads: 'u32',
  /** Rows of the tables. */
  known: 'u32',
  pageSize: 'u32',
  /** Tokens of the cache. */
  capacity: 'u32',
  eps: 'f32',
  /** heads^−½ · 128^−½. */
  weightScale: 'f32',
  /** All strides in bytes. */
  xStride: 'u64',
  xHeadStride: 'u64',
  weightsStride: 'u64',
} as const satisfies ParamDecls;

export type IndexRowsParams = typeof params;

const warps = 4;
const perLane = indexDim / 32;
export const indexRowsCtas = (vectors: number) => Math.ceil(vectors / warps);

type Row = Value<'f32'>[];

/** A warp takes a row of 128, a lane four neighbouring dimensions of it. */
export function buildIndexRows(config: IndexRowsConfig): Kernel<IndexRowsParams> {
  const { kind } = config;
  const options = { name: 'sm80_index_rows', params, block: [warps * 32] as const };
  return defineKernel(options, (k, p) => {
    const lane = k.laneId;
    const vector = k.mad(k.blockIdx.x, warps, k.warpId).named('vector');
    k.if(vector.ge(p.vectors), () => k.exit(), { uniform: true });
    const row = kind === 'keys' ? vector : vector.div(p.heads);
    const head = k.widen(kind === 'keys' ? k.constant('u32', 0) : vector.sub(row.mul(p.heads)));
    const sizeOf = (dtype: RowDType) => (dtype === 'f32' ? 4 : 2);
    const first = lane.mul(perLane);
    const four = (from: typeof p.x, dtype: RowDType): Row => {
      const at = from.bytes(k.widen(first.mul(sizeOf(dtype))));
      return [0, 1, 2, 3].map((i) => loadOne(at.bytes(i * sizeOf(dtype)), dtype));
    };
    const of = p.x.bytes(k.widen(row).mul(p.xStride)).bytes(head.mul(p.xHeadStride));
    let values = k.section('load', () => four(of, config.x));
    if (kind === 'keys') {
      values = k.section('layer norm', () => {
        const mean = segmentSum(k, sumOf(values)).mul(1 / indexDim);
        const apart = values.map((v) => v.sub(mean));
        const squares = segmentSum(k, sumOf(apart.map((v) => v.mul(v))));
        const scale = k.rcpRn(k.sqrtRn(squares.mul(1 / indexDim).add(p.eps)));
        const gains = four(p.weights, config.weights);
        const biases = four(p.bias, config.weights);
        return apart.map((v, i) => v.mul(scale).mul(at(gains, i)).add(at(biases, i)));
      });
    }
    values = k.section('rotate', () => {
      const position = p.positions.at(row).load();
      const rotates = position.lt(p.known).and(lane.lt(indexRopeDim / perLane));
      const table = k.mulWide(k.select(rotates, position, 0, 'u32'), indexRopeDim / 2);
      return rotated(k, values, config.interleaved, (pair) => {
        const place = k.select(rotates, pair, 0, 'u32');
        const c = k.select(rotates, p.cos.at(table).at(place).load(), 1, 'f32');
        const s = k.select(rotates, p.sin.at(table).at(place).load(), 0, 'f32');
        return [c, s];
      });
    });
    if (config.hadamard) values = k.section('hadamard', () => transformed(k, values));
    const scale = k.section('scale', () => powerOfTwoScale(k, values));
    const inverse = k.rcpRn(scale);
    const codes = k.section('round', () => {
      const scaled = values.map((v) => v.mul(inverse));
      const [lo, hi] = [0, 2].map((i) => f32ToE4m3x2(k, at(scaled, i), at(scaled, i + 1)));
      return k.join(lo as never, hi as never).as('b32') as Value<'b32'>;
    });
    if (kind === 'queries') {
      const to = p.out.bytes(k.mulWide(vector, indexDim)).bytes(k.widen(first));
      to.as('b32').store(codes);
      k.if(lane.eq(0), () => {
        const from = p.weights.bytes(k.widen(row).mul(p.weightsStride));
        const weight = loadOne(from.bytes(head.mul(sizeOf(config.weights))), config.weights);
        p.outWeights.at(vector).store(weight.mul(p.weightScale).mul(scale));
      });
      return;
    }
    const slot = p.slots.at(row).load();
    k.if(slot.lt(p.capacity), () => {
      const page = slot.div(p.pageSize);
      const place = slot.sub(page.mul(p.pageSize));
      const start = p.out.bytes(k.mulWide(page, p.pageSize).mul(indexDim + 4));
      start.bytes(k.mulWide(place, indexDim)).bytes(k.widen(first)).as('b32').store(codes);
      k.if(lane.eq(0), () => {
        const scales = start.bytes(k.mulWide(p.pageSize, indexDim)).as('f32');
        scales.at(place).store(scale);
      });
    });
  });
}

const at = (row: Row, i: number) => row[i] as Value<'f32'>;
const sumOf = (row: Row) => row.reduce((a, b) => a.add(b));

/** `angle` gives cosine and sine of a pair of the rotated dimensions. */
function rotated(
  k: Ops,
  row: Row,
  interleaved: boolean,
  angle: (pair: Value<'u32'>) => [Value<'f32'>, Value<'f32'>],
): Row {
  const first = k.laneId.mul(perLane);
  if (interleaved) {
    return [0, 2].flatMap((i) => {
      const [c, s] = angle(first.shr(1).add(i / 2));
      const [a, b] = [at(row, i), at(row, i + 1)];
      return [a.mul(c).sub(b.mul(s)), a.mul(s).add(b.mul(c))];
    });
  }
  // The other one of a pair is half of the rotated dimensions away: in lanes 0 to 15, eight lanes.
  const isSecond = k.laneId.and(8).ne(0);
  return row.map((own, i) => {
    const [c, s] = angle(first.and(indexRopeDim / 2 - 1).add(i));
    const other = k.shuffleXor(own, 8);
    const turned = k.select(isSecond, other, other.neg(), 'f32');
    return own.mul(c).add(turned.mul(s));
  });
}

/** The orthonormal Hadamard matrix in Sylvester's order. */
function transformed(k: Ops, row: Row): Row {
  let values = row;
  for (const step of [1, 2]) {
    values = values.map((v, i) => {
      const other = at(values, i ^ step);
      return (i & step) === 0 ? v.add(other) : other.sub(v);
    });
  }
  for (let distance = 1; distance < 32; distance *= 2) {
    const isSecond = k.laneId.and(distance).ne(0);
    values = values.map((v) => {
      const other = k.shuffleXor(v, distance);
      return other.add(k.select(isSecond, v.neg(), v, 'f32'));
    });
  }
  return values.map((v) => v.mul(1 / Math.sqrt(indexDim)));
}

/** The least power of two that brings the largest magnitude to at most 448. */
function powerOfTwoScale(k: Ops, row: Row): Value<'f32'> {
  let largest = row.map((v) => v.abs()).reduce((a, b) => k.maxNan(a, b));
  for (let distance = 16; distance >= 1; distance /= 2) {
    largest = k.maxNan(largest, k.shuffleXor(largest, distance));
  }
  const bits = k.divRn(k.maxNan(largest, leastMagnitude), k.constant('f32', largestE4m3)).as('u32');
  const raised = bits.add(0x7fffff).and(0xff800000);
  return k.select(bits.lt(0x7f800000), raised, bits, 'u32').as('f32');
}
