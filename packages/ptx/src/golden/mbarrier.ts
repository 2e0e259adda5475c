import { asyncCase, makeBarriers } from './async_case.ts';
import type { GoldenCase } from './case.ts';
import { random } from './data.ts';

const family = 'mbarrier';

/** What memory barriers answer to questions about their phases. */
export function mbarrierCases(): GoldenCase[] {
  const input = random('u32', 32, 331);
  return [
    asyncCase(family, 'try_wait', { input, output: 'u32', count: 8, threads: 32 }, (k) => {
      const bar = k.shared.bar.at(0);
      makeBarriers(k, 1);
      k.if(k.threadIdx.x.eq(0), () => {
        const seen: ReturnType<typeof ask>[] = [];
        function ask(parity: number) {
          return k.select(k.mbarrierTryWait(bar, parity), 1, 0, 'u32');
        }
        // An H200 goes on behind a question about an unfinished phase while that waits, and the answer
        // is yes if this very thread then finishes the phase. So only the last phase is left open.
        seen.push(ask(1));
        k.mbarrierArrive(bar);
        seen.push(ask(0));
        k.mbarrierArriveExpectTx(bar, 0);
        seen.push(ask(1), ask(0));
        seen.forEach((value, i) => {
          k.params.out.at(i).store(value);
        });
      });
    }),
  ];
}
