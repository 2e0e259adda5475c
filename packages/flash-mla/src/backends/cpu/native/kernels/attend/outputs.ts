import type { Gpr64, Ymm, Zmm } from '@flash-mla/machine-code';
import { type Attend, addressOf, panelBytes, panelRows } from './context.ts';

/** Bytes of 16 columns: of a row of outputs, and of a value. */
const tileBytes = 64;
/** Tokens in a round of the inner loop. */
const unrolled = 2;

/**
 * O = decay · O + P · V: a vector holds columns of values, probabilities are broadcast. Rows past the last
 * one, up to whole panels, are left as they are.
 */
export function emitOutputs<V extends Zmm | Ymm>(a: Attend<V>): void {
  const { k, v, job } = a;
  const wide = v.lanes === 16;
  k.section('outputs', () => {
    const left = k.stack(8, 8);
    const values = addressOf(a, 'values');
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
    emitColumns(a, tiles, values, outputs);
    k.sub(left.qword, tiles);
    k.jmp(again);
    k.place(last);
    if (wide) {
      k.cmp(left.qword, 1);
      k.jl(done);
      emitColumns(a, 1, values, outputs);
    }
    k.place(done);
  });
}

/** All rows of some column tiles; moves both pointers on to the next ones. */
function emitColumns<V extends Zmm | Ymm>(
  a: Attend<V>,
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
      emitTile(a, { height, tiles }, { values, scores, decay, output });
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
    k.add(values, tiles * tileBytes);
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
  { k, v, job }: Attend<V>,
  { height, tiles }: { height: number; tiles: number },
  { values, scores, decay, output }: TilePlace,
): void {
  const perTile = 16 / v.lanes;
  const columns = tiles * perTile;
  k.scope(() => {
    const outputStride = k.gpr('outputStride', job.outputStride);
    const valueStride = k.gpr('valueStride', job.valueStride);
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
    const step = (tokens: number) => {
      for (let t = 0; t < tokens; t++) {
        for (const [c, column] of columnsOfValue.entries()) {
          const at = 4 * v.lanes * c;
          v.load(column, t === 0 ? value.at(at) : value.at(valueStride, at));
        }
        for (const [r, row] of sums.entries()) {
          v.addProducts(row, columnsOfValue, p.at(t * panelBytes + 4 * r));
        }
      }
      k.lea(value, tokens === 2 ? value.at(valueStride.times(2)) : value.at(valueStride));
      k.add(p, tokens * panelBytes);
    };
    const count = k.gpr('rounds', job.tokens);
    k.shr(count, Math.log2(unrolled));
    k.loop(count, () => step(unrolled), { name: 'tokens' });
    k.set(count, job.tokens);
    k.and(count, unrolled - 1);
    k.loop(count, () => step(1), { name: 'last_token' });
    for (const [r, row] of sums.entries()) {
      for (const [c, sum] of row.entries()) v.store(outputOf(r, c), sum);
    }
  });
}
