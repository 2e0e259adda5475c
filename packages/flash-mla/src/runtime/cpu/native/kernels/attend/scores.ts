import type { Gpr64, Memory, Ymm, Zmm } from '@flash-mla/machine-code';
import { type Attend, addressOf, panelBytes } from './context.ts';

/** Elements of the head dimension in a round of the inner loop. */
const unrolled = 4;

/** A register tile: tokens × panels of query rows. */
interface ScoreTile {
  readonly tokens: number;
  readonly panels: number;
}

/**
 * S = K · Qᵀ: a vector holds one column of 16 (or 8) query rows, elements of keys are broadcast. Scores of
 * tokens past the block, up to the next whole tile, are computed from what lies there and never read.
 */
export function emitScores<V extends Zmm | Ymm>(a: Attend<V>): void {
  const { k, v, job } = a;
  const wide = v.lanes === 16;
  k.section('scores', () => {
    const left = k.stack(8, 8);
    const scores = addressOf(a, 'scores');
    const queries = addressOf(a, 'queries');
    k.scope(() => {
      const panels = k.gpr('panels', job.rows);
      k.add(panels, 15);
      k.shr(panels, 4);
      k.mov(left, panels);
    });
    const again = k.label('panels');
    const done = k.label('panels_done');
    const lastOne = k.label('last_panel');
    k.place(again);
    k.cmp(left.qword, wide ? 2 : 1);
    k.jl(lastOne);
    // 16 accumulators of the 32 of AVX-512, 12 of AVX2's 16.
    const tile = wide ? { tokens: 8, panels: 2 } : { tokens: 6, panels: 1 };
    emitPanels(a, tile, scores, queries);
    k.sub(left.qword, tile.panels);
    k.jmp(again);
    k.place(lastOne);
    if (wide) {
      k.cmp(left.qword, 1);
      k.jl(done);
      emitPanels(a, { tokens: 16, panels: 1 }, scores, queries);
    }
    k.place(done);
  });
}

/** All tokens of the block against some panels; moves both pointers on to the next ones. */
function emitPanels<V extends Zmm | Ymm>(
  a: Attend<V>,
  tile: ScoreTile,
  scores: Gpr64,
  queries: Gpr64,
): void {
  const { k, job } = a;
  k.scope(() => {
    const tokens = k.stack(8, 8);
    const stride = k.gpr('stride', job.keyStride);
    const stride3 = k.gpr('stride3');
    k.lea(stride3, stride.at(stride.times(2)));
    // Pointers to every fourth token.
    const rows = [addressOf(a, 'keys')];
    for (let row = 4; row < tile.tokens; row += 4) rows.push(k.gpr(`row${row}`));
    const score = k.gpr('score', scores);
    k.scope(() => {
      const count = k.gpr('tokens', job.tokens);
      k.mov(tokens, count);
    });
    const again = k.label('tokens');
    k.align(32);
    k.place(again);
    for (const [i, row] of rows.entries()) {
      const before = rows[i - 1];
      if (before) k.lea(row, before.at(stride.times(4)));
    }
    emitTile(a, tile, { rows, stride, stride3, score, queries });
    k.add(score, tile.tokens * panelBytes);
    k.sub(tokens.qword, tile.tokens);
    k.jg(again);
    k.scope(() => {
      const step = k.gpr('step', job.scoreStride);
      for (let i = 0; i < tile.panels; i++) k.add(scores, step);
      k.set(step, job.headDimQk);
      k.shl(step, 6);
      for (let i = 0; i < tile.panels; i++) k.add(queries, step);
    });
  });
}

interface TilePlace {
  readonly rows: readonly Gpr64[];
  readonly stride: Gpr64;
  readonly stride3: Gpr64;
  readonly score: Gpr64;
  readonly queries: Gpr64;
}

/** One register tile over the whole head dimension; moves the first row on to the next tile. */
function emitTile<V extends Zmm | Ymm>(a: Attend<V>, tile: ScoreTile, place: TilePlace): void {
  const { k, v, job } = a;
  const { rows, stride, stride3, score, queries } = place;
  const perPanel = 16 / v.lanes;
  const columns = tile.panels * perPanel;
  const keyOf = (token: number, element: number): Memory<'gpr64'> => {
    const row = rows[token >> 2] as Gpr64;
    const at = 4 * element;
    if ((token & 3) === 0) return row.at(at);
    return (token & 3) === 3 ? row.at(stride3, at) : row.at(stride.times((token & 3) as 1 | 2), at);
  };
  k.scope(() => {
    const sums = Array.from({ length: tile.tokens }, (_, t) => v.take(`token${t}`, columns));
    for (const sum of sums.flat()) v.zero(sum);
    const queryColumns = v.take('queries', columns);
    const panels = [k.gpr('query', queries)];
    if (tile.panels === 2) {
      const second = k.gpr('query2', job.headDimQk);
      k.shl(second, 6);
      k.add(second, queries);
      panels.push(second);
    }
    const step = (elements: number) => {
      for (let e = 0; e < elements; e++) {
        for (const [c, column] of queryColumns.entries()) {
          const panel = panels[Math.floor(c / perPanel)] as Gpr64;
          v.load(column, panel.at(e * panelBytes + (c % perPanel) * 4 * v.lanes));
        }
        for (const [t, sum] of sums.entries()) v.addProducts(sum, queryColumns, keyOf(t, e));
      }
      for (const row of rows) k.add(row, 4 * elements);
      for (const panel of panels) k.add(panel, elements * panelBytes);
    };
    const count = k.gpr('rounds', job.headDimQk);
    k.shr(count, Math.log2(unrolled));
    k.loop(count, () => step(unrolled), { name: 'elements' });
    k.set(count, job.headDimQk);
    k.and(count, unrolled - 1);
    k.loop(count, () => step(1), { name: 'last_elements' });

    // The scores of the second panel lie so far behind those of the first.
    k.set(count, job.scoreStride);
    for (const [t, sum] of sums.entries()) {
      for (const [c, x] of sum.entries()) {
        const at = t * panelBytes + (c % perPanel) * 4 * v.lanes;
        v.store(c < perPanel ? score.at(at) : score.at(count, at), x);
      }
    }
    const first = rows[0] as Gpr64;
    k.set(count, job.headDimQk);
    k.shl(count, 2);
    k.sub(first, count);
    k.imul(count, stride, tile.tokens);
    k.add(first, count);
  });
}
