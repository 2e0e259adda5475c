import { type Gpr64, transpose16 } from '@flash-mla/machine-code';
import { lineBytes, type Products, tileBytes, tileRows } from './context.ts';

/**
 * Lines of the next 32 rows of weights that are asked for in a step, by how many panels there are at most. A tile
 * takes a line of each of 16 rows, which no processor foresees. With more panels weights are used often enough.
 */
const aheadLines: readonly { readonly panels: number; readonly lines: number }[] = [
  { panels: 2, lines: 32 },
  { panels: Number.POSITIVE_INFINITY, lines: 0 },
];

/**
 * 32 rows of weights, from where they lie, with all panels of x, two at a time; then the next 32. The last ones
 * are moved back as far as needed to be whole: what is computed twice is the same.
 */
export function emitTileProducts(p: Products): void {
  const { k, job, base } = p;
  k.section('products', () => {
    const [column, panels] = [k.stack(8, 8), k.stack(8, 8)];
    const scratch = k.stack(tileBytes, 64);
    k.scope(() => {
      const at = k.gpr('at', job.rows);
      k.add(at, tileRows - 1);
      k.shr(at, 4);
      k.mov(panels, at);
      k.set(at, 0);
      k.mov(column, at);
    });
    const again = k.label('columns');
    k.align(32);
    k.place(again);
    k.scope(() => {
      const weights: Gpr64[] = [];
      const sums: Gpr64[] = [];
      for (const tile of [0, 1]) {
        const at = k.gpr(`weights${tile}`);
        const last = k.gpr(`sums${tile}`, job.columns);
        k.sub(last, tileRows);
        k.mov(at, column);
        if (tile === 1) k.add(at, tileRows);
        k.cmp(at, last);
        k.cmovg(at, last);
        k.mov(last, at);
        k.shl(last, 2);
        k.add(last, base);
        weights.push(at);
        sums.push(last);
      }
      k.scope(() => {
        const stride = k.gpr('stride', job.weightStride);
        const start = k.gpr('start', job.weights);
        k.add(start, base);
        for (const at of weights) {
          k.imul(at, stride);
          k.add(at, start);
        }
        k.set(start, job.sums);
        for (const at of sums) k.add(at, start);
      });
      const x = k.gpr('panel', job.panels);
      k.add(x, base);
      const left = k.gpr('left', panels);
      const ahead = k.gpr('ahead');
      emitAhead(p, { ahead, weights: at(weights, 0), x, column });
      const done = k.label('panels_done');
      for (const { panels: most, lines } of aheadLines) {
        const more = k.label('more_panels');
        if (most < Number.POSITIVE_INFINITY) {
          k.cmp(panels.qword, most);
          k.jg(more);
        }
        const place = { weights, sums, x, scratch, ahead, lines };
        const [two, one] = [k.label('two_panels'), k.label('one_panel')];
        k.align(32);
        k.place(two);
        k.cmp(left, 2);
        k.jl(one);
        emitPanels(p, 2, place);
        k.sub(left, 2);
        k.jmp(two);
        k.place(one);
        k.cmp(left, 1);
        k.jl(done);
        emitPanels(p, 1, place);
        k.jmp(done);
        k.place(more);
      }
      k.place(done);
    });
    k.scope(() => {
      const at = k.gpr('at', column);
      k.add(at, 2 * tileRows);
      k.mov(column, at);
      k.cmp(at.low32, job.columns);
      k.jl(again);
    });
  });
}

/** Where the next 32 rows of weights lie one behind the other; else the panels, which are near already. */
function emitAhead(
  { k, job }: Products,
  {
    ahead,
    weights,
    x,
    column,
  }: { ahead: Gpr64; weights: Gpr64; x: Gpr64; column: ReturnType<Products['k']['stack']> },
): void {
  k.scope(() => {
    const [stride, t] = [k.gpr('stride', job.weightStride), k.gpr('t', job.depth)];
    k.mov(ahead, stride);
    k.shl(ahead, Math.log2(2 * tileRows));
    k.add(ahead, weights);
    k.shl(t, 1);
    k.cmp(stride, t);
    k.cmovne(ahead, x);
    k.set(t, column);
    k.add(t, 2 * tileRows);
    k.cmp(t.low32, job.columns);
    k.cmovge(ahead, x);
  });
}

interface Place {
  /** Two tiles of weights, and where their sums go. */
  readonly weights: readonly Gpr64[];
  readonly sums: readonly Gpr64[];
  readonly x: Gpr64;
  readonly scratch: ReturnType<Products['k']['stack']>;
  /** What is asked for ahead of time, and how many lines of it in a step; moves on. */
  readonly ahead: Gpr64;
  readonly lines: number;
}

/** Moves x and sums on to the next panels. */
function emitPanels({ k, job }: Products, panels: 1 | 2, place: Place): void {
  const { weights, x, scratch, ahead, lines } = place;
  k.scope(() => {
    const sums = k.tileBlock('sums', 2, panels);
    k.scope(() => {
      const w = k.tiles('w', 2);
      const columns = k.tiles('x', panels);
      for (const sum of sums.flat()) k.tilezero(sum);
      const line = k.gpr('line', lineBytes);
      const stride = k.gpr('stride', job.weightStride);
      const panelBytes = k.gpr('panelBytes', job.depth);
      k.shl(panelBytes, 5);
      const steps = k.gpr('steps', job.depth);
      k.shr(steps, 5);
      k.loop(
        steps,
        () => {
          for (const [i, tile] of w.entries()) k.tileloadd(tile, at(weights, i).at(stride));
          k.tileloaddt1(at(columns, 0), x.at(line));
          if (panels === 2) {
            k.add(x, panelBytes);
            k.tileloaddt1(at(columns, 1), x.at(line));
            k.sub(x, panelBytes);
          }
          for (const [i, row] of sums.entries()) {
            for (const [j, sum] of row.entries()) k.tdpbf16ps(sum, at(w, i), at(columns, j));
          }
          for (let i = 0; i < lines; i++) k.prefetcht1(ahead.at(i * lineBytes));
          if (lines > 0) k.add(ahead, lines * lineBytes);
          for (const row of weights) k.add(row, lineBytes);
          k.add(x, tileBytes);
        },
        { name: 'depth', atLeastOnce: true },
      );
      if (panels === 2) k.add(x, panelBytes);
      k.set(steps, job.depth);
      k.shl(steps, 1);
      for (const row of weights) k.sub(row, steps);
    });
    // A tile has a row for each row of weights: turned round, for each row of x.
    const line = k.gpr('line', lineBytes);
    const tile = k.gpr('tile');
    k.lea(tile, scratch);
    const stride = k.gpr('stride', job.sumsStride);
    for (let j = 0; j < panels; j++) {
      for (const [i, row] of sums.entries()) {
        k.tilestored(tile.at(line), at(row, j));
        k.scope(() => {
          const rows = k.zmms('rows', tileRows);
          for (const [r, sum] of rows.entries()) k.vmovups(sum, tile.at(r * lineBytes));
          transpose16(k, rows);
          const to = at(place.sums, i);
          for (const sum of rows) {
            k.vmovups(to.at(), sum);
            k.add(to, stride);
          }
        });
      }
    }
  });
}

/** An entry that is there. */
function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new RangeError(`${index} of ${list.length}`);
  return found;
}
