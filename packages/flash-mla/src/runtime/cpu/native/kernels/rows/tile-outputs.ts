import { type Memory, transpose16 } from '@flash-mla/machine-code';
import { pairBytes, type Rows } from './context.ts';
import { at } from './tile-scores.ts';

const tileBytes = 16 * pairBytes;

/**
 * Pairs of probabilities, 32 tokens of 16 query rows at a time, become rows: the left operand of a product of
 * tiles. In place.
 */
export function emitTransposeProbabilities({ k, job, base }: Rows): void {
  k.section('rows of probabilities', () => {
    const panel = k.gpr('panel', job.scores);
    k.add(panel, base);
    const stride = k.gpr('stride', job.scoreStride);
    const panels = k.gpr('panels', job.rows);
    k.add(panels, 15);
    k.shr(panels, 4);
    k.loop(
      panels,
      () => {
        const p = k.gpr('p', panel);
        const tiles = k.gpr('tiles', job.tokens);
        k.add(tiles, 31);
        k.shr(tiles, 5);
        k.loop(
          tiles,
          () => {
            const rows = k.zmms('rows', 16);
            for (const [i, row] of rows.entries()) k.vmovups(row, p.at(i * pairBytes));
            transpose16(k, rows);
            for (const [i, row] of rows.entries()) k.vmovups(p.at(i * pairBytes), row);
            k.add(p, tileBytes);
          },
          { name: 'tiles', atLeastOnce: true },
        );
        k.add(panel, stride);
      },
      { name: 'panels', atLeastOnce: true },
    );
  });
}

/** O = decay · O, for panels in which a decay is not 1. */
export function emitRescale({ k, job, base }: Rows): void {
  k.section('rescale', () => {
    const decay = k.gpr('decay', job.decay);
    const outputs = k.gpr('outputs', job.outputs);
    for (const register of [decay, outputs]) k.add(register, base);
    const stride = k.gpr('stride', job.outputStride);
    const panels = k.gpr('panels', job.rows);
    k.add(panels, 15);
    k.shr(panels, 4);
    const one = k.zmm('one');
    const x = k.zmm('x');
    const shrinks = k.mask('shrinks');
    k.vbroadcastss(one, k.constant.f32(1));
    k.loop(
      panels,
      () => {
        k.vcmpps(shrinks, one, decay.at(), notEqual);
        k.kortestw(shrinks, shrinks);
        k.if(k.flags('ne'), () => {
          const factors = k.zmms('factors', 16);
          for (const [r, factor] of factors.entries()) k.vbroadcastss(factor, decay.at(4 * r));
          const output = k.gpr('output', outputs);
          const tiles = k.gpr('tiles', job.colTiles);
          k.loop(
            tiles,
            () => {
              for (const [r, factor] of factors.entries()) {
                k.vmulps(x, factor, output.at(r * pairBytes));
                k.vmovups(output.at(r * pairBytes), x);
              }
              k.add(output, stride);
            },
            { name: 'columns', atLeastOnce: true },
          );
        });
        k.add(decay, pairBytes);
        k.add(outputs, tileBytes);
      },
      { name: 'panels', atLeastOnce: true },
    );
  });
}

/** Predicate: not equal, or not a number. */
const notEqual = 4;

/** O += P · V by tiles: 32 query rows × 32 columns at a time. */
export function emitTileOutputs(a: Rows): void {
  const { k, job, base } = a;
  k.section('outputs', () => {
    const [left, scores, outputs] = [k.stack(8, 8), k.stack(8, 8), k.stack(8, 8)];
    k.scope(() => {
      const at = k.gpr('at', job.scores);
      k.add(at, base);
      k.mov(scores, at);
      k.set(at, job.outputs);
      k.add(at, base);
      k.mov(outputs, at);
      k.set(at, job.rows);
      k.add(at, 15);
      k.shr(at, 4);
      k.mov(left, at);
    });
    const [again, last, done] = [k.label('panels'), k.label('last_panel'), k.label('panels_done')];
    k.place(again);
    k.cmp(left.qword, 2);
    k.jl(last);
    emitPanels(a, 2, scores, outputs);
    k.sub(left.qword, 2);
    k.jmp(again);
    k.place(last);
    k.cmp(left.qword, 1);
    k.jl(done);
    emitPanels(a, 1, scores, outputs);
    k.place(done);
  });
}

/** All columns of one or two panels; moves both pointers on to the next ones. */
function emitPanels(
  { k, job, base }: Rows,
  panels: 1 | 2,
  scores: Memory<'gpr64'>,
  outputs: Memory<'gpr64'>,
): void {
  k.scope(() => {
    /** Bytes of two column tiles' outputs in each step: all of them in eight steps. */
    const prefetched = (panels * tileBytes) / 8;
    const sums = k.tileBlock('sums', panels, 2);
    const probabilities = k.tiles('p', panels);
    const values = k.tiles('values', 2);
    const line = k.gpr('line', pairBytes);
    const scoreStride = k.gpr('scoreStride', job.scoreStride);
    const valueStride = k.gpr('valueStride', job.valueStride);
    const outputStride = k.gpr('outputStride', job.outputStride);
    const columns = k.gpr('columns', job.valuePairs);
    k.add(columns, base);
    const output = k.gpr('output', outputs);
    const pairs = k.gpr('pairs', job.colTiles);
    k.shr(pairs, 1);
    /** Tiles of panels lie one behind the other, those of columns a stride apart. */
    const eachSum = (visit: (sum: (typeof values)[number], bytes: number) => void) => {
      for (const column of values.keys()) {
        for (const [panel, row] of sums.entries()) visit(at(row, column), panel * tileBytes);
        if (column === 0) k.add(output, outputStride);
      }
      k.sub(output, outputStride);
    };
    k.loop(
      pairs,
      () => {
        eachSum((sum, bytes) => k.tileloadd(sum, output.at(line, bytes)));
        const p = k.gpr('p', scores);
        const value = k.gpr('value', columns);
        const steps = k.gpr('steps', job.tokens);
        k.add(steps, 31);
        k.shr(steps, 5);
        // The outputs that come next lie in the second cache.
        const next = k.gpr('next');
        k.lea(next, output.at(outputStride.times(2)));
        k.loop(
          steps,
          () => {
            for (let ahead = 0; ahead < prefetched; ahead += 64) {
              k.prefetcht0(next.at(ahead));
              k.prefetcht0(next.at(outputStride, ahead));
            }
            k.add(next, prefetched);
            for (const [i, tile] of probabilities.entries()) {
              k.tileloadd(tile, p.at(line));
              k.add(p, i + 1 < panels ? scoreStride : line);
            }
            // Back to the first panel, one tile on: `line` stood in for the last stride.
            if (panels > 1) k.sub(p, scoreStride);
            k.add(p, tileBytes - pairBytes);
            k.tileloaddt1(at(values, 0), value.at(line));
            k.add(value, valueStride);
            k.tileloaddt1(at(values, 1), value.at(line));
            k.sub(value, valueStride);
            k.add(value, tileBytes);
            for (const [i, row] of sums.entries()) {
              for (const [j, sum] of row.entries()) {
                k.tdpbf16ps(sum, at(probabilities, i), at(values, j));
              }
            }
          },
          { name: 'tokens', atLeastOnce: true },
        );
        eachSum((sum, bytes) => k.tilestored(output.at(line, bytes), sum));
        for (let i = 0; i < 2; i++) {
          k.add(columns, valueStride);
          k.add(output, outputStride);
        }
      },
      { name: 'columns', atLeastOnce: true },
    );
    for (let i = 0; i < panels; i++) k.add(scores.qword, scoreStride);
    k.add(outputs.qword, panels * tileBytes);
  });
}
