import type { Gpr64, Memory } from '@flash-mla/machine-code';
import { pairBytes, type Rows } from './context.ts';
import { at } from './tile-scores.ts';
import { entryBytes, tileTokens } from './tile-tokens.ts';

const tileBytes = tileTokens * pairBytes;
/** Bytes of 32 columns of a value. */
const lineBytes = 64;

/**
 * O += P · V for at most 16 query rows, with values as they lie: a tile of 16 tokens × 32 columns holds pairs of
 * neighbouring columns, where a product wants pairs of tokens. Probabilities beside zeros pick one of each pair: so
 * the outputs of 32 columns lie as 16 even ones and 16 odd ones. An infinity or NaN spoils its neighbour.
 */
export function emitPanelOutputs(a: Rows, table: Memory<'gpr64'>): void {
  const { k, job, base } = a;
  k.section('outputs', () => {
    const left = k.gpr('left', job.colTiles);
    k.shr(left, 1);
    const output = k.gpr('output', job.outputs);
    k.add(output, base);
    const column = k.gpr('column', 0);
    const [again, last, done] = [k.label('columns'), k.label('last_columns'), k.label('done')];
    k.align(32);
    k.place(again);
    k.cmp(left, 2);
    k.jl(last);
    emitColumns(a, 2, table, output, column);
    k.sub(left, 2);
    k.jmp(again);
    k.place(last);
    k.cmp(left, 1);
    k.jl(done);
    emitColumns(a, 1, table, output, column);
    k.place(done);
  });
}

/** All tokens with so many times 32 columns; moves on to the next ones. */
function emitColumns(
  { k, job, base }: Rows,
  count: 1 | 2,
  table: Memory<'gpr64'>,
  output: Gpr64,
  column: Gpr64,
): void {
  k.scope(() => {
    const sums = k.tileBlock('sums', count, 2);
    const probabilities = k.tiles('p', 2);
    const values = k.tiles('values', count);
    const line = k.gpr('line', pairBytes);
    const stride = k.gpr('outputStride', job.outputStride);
    const eachSum = (visit: (sum: (typeof values)[number]) => void) => {
      for (const sum of sums.flat()) {
        visit(sum);
        k.add(output, stride);
      }
    };
    eachSum((sum) => k.tileloadd(sum, output.at(line)));
    for (let i = 0; i < 2 * count; i++) k.sub(output, stride);
    const first = k.gpr('first', job.scores);
    const second = k.gpr('second', job.valuePairs);
    for (const register of [first, second]) k.add(register, base);
    const entry = k.gpr('entry');
    k.lea(entry, table);
    const tiles = k.gpr('tiles', job.tokens);
    k.add(tiles, 31);
    k.shr(tiles, 5);
    k.shl(tiles, 1);
    k.loop(
      tiles,
      () => {
        const row = k.gpr('row', entry.at());
        const apart = k.gpr('apart', entry.at(8));
        k.add(row, column);
        k.tileloadd(at(probabilities, 0), first.at(line));
        k.tileloadd(at(probabilities, 1), second.at(line));
        for (const [i, value] of values.entries()) {
          k.tileloadd(value, row.at(apart, i * lineBytes));
          for (const [parity, p] of probabilities.entries()) {
            k.tdpbf16ps(at(at(sums, i), parity), p, value);
          }
        }
        k.add(first, tileBytes);
        k.add(second, tileBytes);
        k.add(entry, entryBytes);
      },
      { name: 'tokens', atLeastOnce: true },
    );
    eachSum((sum) => k.tilestored(output.at(line), sum));
    k.add(column, count * lineBytes);
  });
}
