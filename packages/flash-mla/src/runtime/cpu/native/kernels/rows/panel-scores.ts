import type { Gpr64, Memory } from '@flash-mla/machine-code';
import { pairBytes, type Rows } from './context.ts';
import { at } from './tile-scores.ts';
import { entryBytes, runAt, tileTokens } from './tile-tokens.ts';

/** Bytes of a tile: of queries, of scores, and of 32 elements of 16 tokens. */
const tileBytes = tileTokens * pairBytes;

/** Tiles of keys that are multiplied with the queries at a time: as many sums as products need to overlap. */
export const panelTiles = 4;

/**
 * S = K · Qᵀ for at most 16 query rows, by tiles of 16 tokens. Tokens come from memory here for the first time, and
 * a tile takes a line of each of 16 rows, which the processor does not foresee: so the tokens behind these are asked
 * for in the order in which they lie. `table`: see tile-tokens.ts.
 */
export function emitPanelScores(a: Rows, table: Memory<'gpr64'>): void {
  const { k, job, base } = a;
  k.section('scores', () => {
    const [left, score, panelBytes] = [k.stack(8, 8), k.stack(8, 8), k.stack(8, 8)];
    k.scope(() => {
      const x = k.gpr('x', job.tokens);
      k.add(x, 2 * tileTokens - 1);
      k.shr(x, 5);
      k.shl(x, 1);
      k.mov(left, x);
      k.set(x, job.scores);
      k.add(x, base);
      k.mov(score, x);
      k.set(x, job.headDimQk);
      k.shl(x, 5);
      k.mov(panelBytes, x);
    });
    const entry = k.gpr('entry');
    k.lea(entry, table);
    const [again, last, done] = [k.label('tiles'), k.label('last_tiles'), k.label('tiles_done')];
    k.align(32);
    k.place(again);
    k.cmp(left.qword, panelTiles);
    k.jl(last);
    emitTiles(a, panelTiles, { score, entry, panelBytes });
    k.sub(left.qword, panelTiles);
    k.jmp(again);
    k.place(last);
    k.cmp(left.qword, 2);
    k.jl(done);
    emitTiles(a, 2, { score, entry, panelBytes });
    k.place(done);
  });
}

interface ScorePlace {
  readonly entry: Gpr64;
  /** Holds where the scores go. */
  readonly score: Memory<'gpr64'>;
  /** Holds the bytes of the queries. */
  readonly panelBytes: Memory<'gpr64'>;
}

/** So many tiles of tokens; moves on to the next ones. */
function emitTiles({ k, job, base }: Rows, tiles: 2 | 4, place: ScorePlace): void {
  const { entry, score, panelBytes } = place;
  k.scope(() => {
    const sums = k.tiles('sums', tiles);
    const queries = k.tiles('queries', 1);
    const keys = k.tiles('keys', 3);
    for (const sum of sums) k.tilezero(sum);
    const line = k.gpr('line', pairBytes);
    const query = k.gpr('query', job.queries);
    k.add(query, base);
    const [column, passed] = [k.gpr('column', 0), k.gpr('passed', 0)];
    const again = k.label('elements');
    k.align(32);
    k.place(again);
    k.tileloadd(at(queries, 0), query.at(line));
    for (const [i, sum] of sums.entries()) {
      const tile = at(keys, i % keys.length);
      k.scope(() => {
        const row = k.gpr('row', entry.at(i * entryBytes));
        const stride = k.gpr('stride', entry.at(i * entryBytes + 8));
        k.add(row, column);
        k.tileloadd(tile, row.at(stride));
      });
      k.tdpbf16ps(sum, tile, at(queries, 0));
      k.scope(() => {
        // A tile takes as many bytes as it is given ahead of time.
        const next = k.gpr('next', entry.at((i + tiles) * entryBytes + runAt));
        k.add(next, passed);
        for (let at = 0; at < tileBytes; at += 64) k.prefetcht1(next.at(at));
      });
    }
    k.add(column, pairBytes);
    k.add(query, tileBytes);
    k.add(passed, tileBytes);
    k.cmp(passed, panelBytes);
    k.jl(again);
    k.set(query, score);
    for (const [i, sum] of sums.entries()) k.tilestored(query.at(line, i * tileBytes), sum);
    k.add(query, tiles * tileBytes);
    k.mov(score, query);
    k.add(entry, tiles * entryBytes);
  });
}
