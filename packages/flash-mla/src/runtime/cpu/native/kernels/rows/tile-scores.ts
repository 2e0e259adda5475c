import type { Memory } from '@flash-mla/machine-code';
import { pairBytes, type Rows } from './context.ts';
import { entryBytes, tileTokens } from './tile-tokens.ts';

/** Bytes of a tile: of queries, of scores. */
const tileBytes = tileTokens * pairBytes;

/**
 * S = K · Qᵀ by tiles: 32 tokens × 32 query rows at a time, keys from where they lie, queries as they were
 * packed. `table`: see tile-tokens.ts.
 */
export function emitTileScores(a: Rows, table: Memory<'gpr64'>): void {
  const { k, job, base } = a;
  k.section('scores', () => {
    const [left, scores, queries] = [k.stack(8, 8), k.stack(8, 8), k.stack(8, 8)];
    k.scope(() => {
      const at = k.gpr('at', job.scores);
      k.add(at, base);
      k.mov(scores, at);
      k.set(at, job.queries);
      k.add(at, base);
      k.mov(queries, at);
      k.set(at, job.rows);
      k.add(at, 15);
      k.shr(at, 4);
      k.mov(left, at);
    });
    const [again, last, done] = [k.label('panels'), k.label('last_panel'), k.label('panels_done')];
    k.place(again);
    k.cmp(left.qword, 2);
    k.jl(last);
    emitPanels(a, 2, table, scores, queries);
    k.sub(left.qword, 2);
    k.jmp(again);
    k.place(last);
    k.cmp(left.qword, 1);
    k.jl(done);
    emitPanels(a, 1, table, scores, queries);
    k.place(done);
  });
}

/** All tokens against one or two panels of query rows; moves both pointers on to the next ones. */
function emitPanels(
  { k, job }: Rows,
  panels: 1 | 2,
  table: Memory<'gpr64'>,
  scores: Memory<'gpr64'>,
  queries: Memory<'gpr64'>,
): void {
  const [scoreStride, panelBytes] = [k.stack(8, 8), k.stack(8, 8)];
  k.scope(() => {
    const bytes = k.gpr('bytes', job.scoreStride);
    k.mov(scoreStride, bytes);
    k.set(bytes, job.headDimQk);
    k.shl(bytes, 5);
    k.mov(panelBytes, bytes);
  });
  k.scope(() => {
    const sums = k.tileBlock('sums', 2, panels);
    const keys = k.tiles('keys', 2);
    const columns = k.tiles('columns', panels);
    const line = k.gpr('line', pairBytes);
    const entry = k.gpr('entry');
    k.lea(entry, table);
    const score = k.gpr('score', scores);
    const groups = k.gpr('groups', job.tokens);
    k.add(groups, 2 * tileTokens - 1);
    k.shr(groups, 5);
    k.loop(
      groups,
      () => {
        for (const sum of sums.flat()) k.tilezero(sum);
        const rows = keys.map((_, i) => k.gpr(`row${i}`, entry.at(i * entryBytes)));
        const strides = keys.map((_, i) => k.gpr(`stride${i}`, entry.at(i * entryBytes + 8)));
        const query = k.gpr('query', queries);
        const steps = k.gpr('steps', job.headDimQk);
        k.shr(steps, 5);
        k.loop(
          steps,
          () => {
            for (const [i, tile] of keys.entries()) {
              k.tileloadd(tile, at(rows, i).at(at(strides, i)));
            }
            for (const [i, tile] of columns.entries()) {
              if (i === 0) k.tileloaddt1(tile, query.at(line));
              else {
                k.add(query, panelBytes);
                k.tileloaddt1(tile, query.at(line));
                k.sub(query, panelBytes);
              }
            }
            for (const [i, row] of sums.entries()) {
              for (const [j, sum] of row.entries()) {
                k.tdpbf16ps(sum, at(keys, i), at(columns, j));
              }
            }
            for (const row of rows) k.add(row, 64);
            k.add(query, tileBytes);
          },
          { name: 'elements', atLeastOnce: true },
        );
        for (const j of columns.keys()) {
          for (const [i, row] of sums.entries()) {
            k.tilestored(score.at(line, i * tileBytes), at(row, j));
          }
          if (j + 1 < panels) k.add(score, scoreStride);
        }
        if (panels > 1) k.sub(score, scoreStride);
        k.add(score, 2 * tileBytes);
        k.add(entry, 2 * entryBytes);
      },
      { name: 'tokens', atLeastOnce: true },
    );
  });
  k.scope(() => {
    for (const [pointer, bytes] of [
      [scores, scoreStride],
      [queries, panelBytes],
    ] as const) {
      const step = k.gpr('step', bytes);
      for (let i = 0; i < panels; i++) k.add(pointer.qword, step);
    }
  });
}

/** An entry that is there. */
export function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new RangeError(`${index} of ${list.length}`);
  return found;
}
