import type { Gpr64, Memory } from '@flash-mla/machine-code';
import { pairBytes, type Rows } from './context.ts';
import { entryBytes, tileTokens } from './tile-tokens.ts';

/** Bytes of a tile: of queries, of scores. */
const tileBytes = tileTokens * pairBytes;

/**
 * S = K · Qᵀ by tiles, 32 tokens × 32 query rows at a time: keys from where they lie, queries as they were
 * packed. The keys of 32 tokens stay in the first cache while all queries pass by. `table`: see tile-tokens.ts.
 */
export function emitTileScores(a: Rows, table: Memory<'gpr64'>): void {
  const { k, job, base } = a;
  k.section('scores', () => {
    const [scores, queries, left] = [k.stack(8, 8), k.stack(8, 8), k.stack(8, 8)];
    const [scoreStride, panelBytes] = [k.stack(8, 8), k.stack(8, 8)];
    k.scope(() => {
      const at = k.gpr('at', job.scores);
      k.add(at, base);
      k.mov(scores, at);
      k.set(at, job.queries);
      k.add(at, base);
      k.mov(queries, at);
      k.set(at, job.scoreStride);
      k.mov(scoreStride, at);
      k.set(at, job.headDimQk);
      k.shl(at, 5);
      k.mov(panelBytes, at);
      k.set(at, job.tokens);
      k.add(at, 2 * tileTokens - 1);
      k.shr(at, 5);
      k.mov(left, at);
    });
    const line = k.gpr('line', pairBytes);
    const entry = k.gpr('entry');
    k.lea(entry, table);
    const groups = k.label('groups');
    k.align(32);
    k.place(groups);
    k.scope(() => {
      const keys = [0, 1].map((i) => ({
        row: k.gpr(`row${i}`, entry.at(i * entryBytes)),
        stride: k.gpr(`stride${i}`, entry.at(i * entryBytes + 8)),
      }));
      const score = k.gpr('score', scores);
      const query = k.gpr('query', queries);
      const panels = k.gpr('panels', job.rows);
      k.add(panels, 15);
      k.shr(panels, 4);
      const place = { keys, line, score, query, scoreStride, panelBytes };
      const [again, last, done] = [
        k.label('panels'),
        k.label('last_panel'),
        k.label('panels_done'),
      ];
      k.align(32);
      k.place(again);
      k.cmp(panels, 2);
      k.jl(last);
      emitPanels(a, 2, place);
      k.sub(panels, 2);
      k.jmp(again);
      k.place(last);
      k.cmp(panels, 1);
      k.jl(done);
      emitPanels(a, 1, place);
      k.place(done);
    });
    k.add(scores.qword, 2 * tileBytes);
    k.add(entry, 2 * entryBytes);
    k.dec(left.qword);
    k.jne(groups);
  });
}

interface ScorePlace {
  /** Two tiles of keys. */
  readonly keys: readonly { readonly row: Gpr64; readonly stride: Gpr64 }[];
  readonly line: Gpr64;
  readonly score: Gpr64;
  readonly query: Gpr64;
  readonly scoreStride: Memory<'gpr64'>;
  readonly panelBytes: Memory<'gpr64'>;
}

/** 32 tokens against one or two panels; moves scores and queries on to the next ones. */
function emitPanels({ k, job }: Rows, panels: 1 | 2, place: ScorePlace): void {
  const { line, score, query, scoreStride, panelBytes } = place;
  k.scope(() => {
    const sums = k.tileBlock('sums', 2, panels);
    const keys = k.tiles('keys', 2);
    const columns = k.tiles('columns', panels);
    for (const sum of sums.flat()) k.tilezero(sum);
    const steps = k.gpr('steps', job.headDimQk);
    k.shr(steps, 5);
    k.loop(
      steps,
      () => {
        for (const [i, tile] of keys.entries()) {
          const { row, stride } = at(place.keys, i);
          k.tileloadd(tile, row.at(stride));
        }
        k.tileloaddt1(at(columns, 0), query.at(line));
        if (panels === 2) {
          k.add(query, panelBytes);
          k.tileloaddt1(at(columns, 1), query.at(line));
          k.sub(query, panelBytes);
        }
        for (const [i, row] of sums.entries()) {
          for (const [j, sum] of row.entries()) k.tdpbf16ps(sum, at(keys, i), at(columns, j));
        }
        for (const { row } of place.keys) k.add(row, 64);
        k.add(query, tileBytes);
      },
      { name: 'elements', atLeastOnce: true },
    );
    for (const j of columns.keys()) {
      for (const [i, row] of sums.entries()) {
        k.tilestored(score.at(line, i * tileBytes), at(row, j));
      }
      k.add(score, scoreStride);
    }
    // The queries of the first panel have passed; the keys begin again.
    if (panels === 2) k.add(query, panelBytes);
    k.set(steps, job.headDimQk);
    k.shl(steps, 1);
    for (const { row } of place.keys) k.sub(row, steps);
  });
}

/** An entry that is there. */
export function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new RangeError(`${index} of ${list.length}`);
  return found;
}
