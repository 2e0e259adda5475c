import type { Gpr64, JobField, Memory, Ymm, Zmm } from '@flash-mla/machine-code';
import { type Attend, type AttendInputs, addressOf, panelBytes, panelRows } from './context.ts';

/** What the outputs need to be told. */
type OutputInputs = Pick<
  AttendInputs,
  'scores' | 'outputs' | 'decay' | 'outputStride' | 'scoreStride' | 'colTiles' | 'rows' | 'tokens'
>;
type Outputs<V extends Zmm | Ymm> = Attend<V, OutputInputs>;

/** How values lie, and how they are multiplied with probabilities. */
export interface ValueProducts<V extends Zmm | Ymm> {
  /** A register that points to the first column tile. */
  readonly values: Gpr64;
  /** Bytes of rows of values, or of column tiles where these lie one behind the other. */
  readonly stride: JobField;
  readonly tilesApart: boolean;
  /** Tokens of one product: a pair, or one. */
  readonly tokensPerStep: 1 | 2;
  /** sums[i] += probability · columns[i], of a token or a pair. */
  addProducts(sums: readonly V[], columns: readonly V[], probability: Memory<'gpr64'>): void;
}

/** Bytes of 16 columns: of a row of outputs, and of a value. */
const tileBytes = 64;
/** Steps in a round of the inner loop. */
const unrolled = 2;

/**
 * O = decay · O + P · V: a vector holds columns of values, probabilities are broadcast. Rows past the last
 * one, up to whole panels, are left as they are.
 */
export function emitOutputs<V extends Zmm | Ymm>(a: Outputs<V>, products: ValueProducts<V>): void {
  const { k, v, job } = a;
  const { values } = products;
  const wide = v.lanes === 16;
  k.section('outputs', () => {
    const left = k.stack(8, 8);
    const outputs = addressOf(a, 'outputs');
    k.scope(() => {
      const tiles = k.gpr('tiles', job.colTiles);
      k.mov(left, tiles);
    });
    const again = k.label('columns');
    const last = k.label('last_columns');
    const done = k.label('columns_done');
    const tiles = wide ? 2 : 1;
    k.place(again);
    k.cmp(left.qword, tiles);
    k.jl(last);
    emitColumns(a, products, tiles, values, outputs);
    k.sub(left.qword, tiles);
    k.jmp(again);
    k.place(last);
    if (wide) {
      k.cmp(left.qword, 1);
      k.jl(done);
      emitColumns(a, products, 1, values, outputs);
    }
    k.place(done);
  });
}

/** All rows of some column tiles; moves both pointers on to the next ones. */
function emitColumns<V extends Zmm | Ymm>(
  a: Outputs<V>,
  products: ValueProducts<V>,
  tiles: number,
  values: Gpr64,
  outputs: Gpr64,
): void {
  const { k, v, job } = a;
  const rowsLeft = k.stack(8, 8);
  const row = k.stack(8, 8);
  k.scope(() => {
    const scores = addressOf(a, 'scores');
    const decay = addressOf(a, 'decay');
    const output = k.gpr('output', outputs);
    k.scope(() => {
      const count = k.gpr('rows', job.rows);
      k.mov(rowsLeft, count);
      k.set(count, 0);
      k.mov(row, count);
    });
    const heights = v.lanes === 16 ? [8, 4, 1] : [4, 1];
    const labels = heights.map((height) => k.label(`rows${height}`));
    const done = k.label('rows_done');
    for (const [i, height] of heights.entries()) {
      const again = labels[i];
      if (again) k.place(again);
      k.cmp(rowsLeft.qword, height);
      k.jl(labels[i + 1] ?? done);
      emitTile(a, products, { height, tiles }, { values, scores, decay, output });
      k.add(scores, 4 * height);
      k.add(decay, 4 * height);
      k.add(output, tileBytes * height);
      k.add(row.qword, height);
      k.test(row.dword, panelRows - 1);
      k.if(k.flags('eq'), () => {
        const stride = k.gpr('stride', job.scoreStride);
        k.lea(scores, scores.at(stride, -panelBytes));
      });
      k.sub(rowsLeft.qword, height);
      if (again) k.jmp(again);
    }
    k.place(done);
  });
  k.scope(() => {
    const stride = k.gpr('stride', job.outputStride);
    for (let i = 0; i < tiles; i++) k.add(outputs, stride);
    if (products.tilesApart) k.set(stride, products.stride);
    for (let i = 0; i < tiles; i++) {
      if (products.tilesApart) k.add(values, stride);
      else k.add(values, tileBytes);
    }
  });
}

interface TilePlace {
  readonly values: Gpr64;
  /** Of the first row. */
  readonly scores: Gpr64;
  readonly decay: Gpr64;
  readonly output: Gpr64;
}

/** One register tile: some rows of some column tiles, over all tokens. */
function emitTile<V extends Zmm | Ymm>(
  { k, v, job }: Outputs<V>,
  products: ValueProducts<V>,
  { height, tiles }: { height: number; tiles: number },
  { values, scores, decay, output }: TilePlace,
): void {
  const perTile = 16 / v.lanes;
  const columns = tiles * perTile;
  k.scope(() => {
    const outputStride = k.gpr('outputStride', job.outputStride);
    const valueStride = k.gpr('valueStride', products.stride);
    const sums = Array.from({ length: height }, (_, r) => v.take(`row${r}`, columns));
    const columnsOfValue = v.take('value', columns);
    const outputOf = (r: number, c: number) => {
      const at = r * tileBytes + (c % perTile) * 4 * v.lanes;
      return c < perTile ? output.at(at) : output.at(outputStride, at);
    };
    for (const [r, row] of sums.entries()) {
      const [factor] = columnsOfValue as [V];
      v.broadcast(factor, decay.at(4 * r));
      for (const [c, sum] of row.entries()) v.multiply(sum, factor, outputOf(r, c));
    }
    const value = k.gpr('value', values);
    const p = k.gpr('p', scores);
    const columnOf = (c: number, step: number) => {
      const at = 4 * v.lanes * c;
      if (products.tilesApart) {
        const within = step * tileBytes + (at % tileBytes);
        return at < tileBytes ? value.at(within) : value.at(valueStride, within);
      }
      return step === 0 ? value.at(at) : value.at(valueStride, at);
    };
    const round = (steps: 1 | 2) => {
      for (let step = 0; step < steps; step++) {
        for (const [c, column] of columnsOfValue.entries()) v.load(column, columnOf(c, step));
        for (const [r, row] of sums.entries()) {
          products.addProducts(row, columnsOfValue, p.at(step * panelBytes + 4 * r));
        }
      }
      if (products.tilesApart) k.add(value, steps * tileBytes);
      else k.lea(value, steps === 2 ? value.at(valueStride.times(2)) : value.at(valueStride));
      k.add(p, steps * panelBytes);
    };
    const count = k.gpr('steps', job.tokens);
    const steps = (register: Gpr64) => {
      if (products.tokensPerStep === 1) return;
      k.add(register, 1);
      k.shr(register, 1);
    };
    steps(count);
    k.shr(count, Math.log2(unrolled));
    k.loop(count, () => round(unrolled), { name: 'tokens' });
    k.set(count, job.tokens);
    steps(count);
    k.and(count, unrolled - 1);
    k.loop(count, () => round(1), { name: 'last_token' });
    for (const [r, row] of sums.entries()) {
      for (const [c, sum] of row.entries()) v.store(outputOf(r, c), sum);
    }
  });
}
