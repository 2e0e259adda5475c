import type { RoutingConfig } from '../config/model-config.ts';
import type { MoeWeights } from '../layers/weights.ts';
import { swiGlu } from './elementwise.ts';
import { matrix, type PlainMatrix, rowsOf } from './matrix.ts';
import { dotRows } from './products.ts';
import { route } from './router.ts';

/** Rows of tokens that an expert serves, and the weight of each. */
interface Load {
  readonly rows: number[];
  readonly weights: number[];
}

/**
 * Sends each token through its experts, expert by expert, and adds up by rising expert number: the shared
 * ones come last.
 */
export function expertsOf(
  x: PlainMatrix,
  logits: PlainMatrix,
  { experts: { gateUp, down }, numShared, routerBias: bias }: MoeWeights<PlainMatrix>,
  routing: RoutingConfig,
): PlainMatrix {
  const total = logits.columns + numShared;
  const loads: Load[] = Array.from({ length: total }, () => ({ rows: [], weights: [] }));
  for (let row = 0; row < x.rows; row++) {
    const own = logits.data.subarray(row * logits.columns, (row + 1) * logits.columns);
    const { experts, weights } = route(own, bias?.data, routing);
    for (const [i, expert] of experts.entries()) {
      loads[expert]?.rows.push(row);
      loads[expert]?.weights.push(weights[i] ?? 0);
    }
    for (const { rows, weights: counts } of loads.slice(logits.columns)) {
      rows.push(row);
      counts.push(1);
    }
  }
  const out = matrix(x.rows, x.columns);
  for (const [expert, { rows, weights }] of loads.entries()) {
    if (rows.length === 0) continue;
    const taken = takeRows(x, rows);
    const hidden = matrix(rows.length, 2 * down.columns);
    const gateRow = expert * hidden.columns;
    dotRows(
      rowsOf(taken),
      rowsOf(gateUp, gateRow),
      rowsOf(hidden),
      rows.length,
      hidden.columns,
      x.columns,
    );
    const active = swiGlu(hidden);
    const result = matrix(rows.length, x.columns);
    const downRow = expert * x.columns;
    dotRows(
      rowsOf(active),
      rowsOf(down, downRow),
      rowsOf(result),
      rows.length,
      x.columns,
      down.columns,
    );
    for (const [i, row] of rows.entries()) {
      addRow(out.data, row * x.columns, result.data, i * x.columns, x.columns, weights[i] ?? 0);
    }
  }
  return out;
}

export function takeRows(x: PlainMatrix, rows: ArrayLike<number>): PlainMatrix {
  const out = matrix(rows.length, x.columns);
  for (let i = 0; i < rows.length; i++) {
    const at = (rows[i] ?? 0) * x.columns;
    out.data.set(x.data.subarray(at, at + x.columns), i * x.columns);
  }
  return out;
}

function addRow(
  out: Float32Array,
  to: number,
  x: Float32Array,
  from: number,
  count: number,
  weight: number,
): void {
  for (let i = 0; i < count; i++) {
    out[to + i] = (out[to + i] as number) + weight * (x[from + i] as number);
  }
}
