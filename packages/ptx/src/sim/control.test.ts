import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  defineKernel,
  global,
  type Loop,
  SimMemory,
  simulate,
  type Value,
  type Var,
} from '../index.ts';
import { runKernel, type TestBuilder } from '../testing/run.ts';

/** A little language of nested control flow over two variables, for random programs. */
type Statement =
  | { kind: 'add'; to: 0 | 1; amount: number }
  | { kind: 'mix' }
  | { kind: 'if'; test: Test; yes: Statement[]; no: Statement[] }
  | { kind: 'loop'; rounds: number; body: Statement[] }
  | { kind: 'break'; test: Test; outer: boolean }
  | { kind: 'continue'; test: Test }
  | { kind: 'exit'; test: Test };

/** variable % modulus < limit */
interface Test {
  of: 0 | 1;
  modulus: number;
  limit: number;
}

class Break extends Error {
  readonly depth: number;
  constructor(depth: number) {
    super();
    this.depth = depth;
  }
}
class Continue extends Error {}
class Exit extends Error {}

/** The meaning of a program for one thread. */
function interpret(program: Statement[], lane: number): [number, number] | 'exited' {
  const v: [number, number] = [lane, lane * 7 + 3];
  const holds = ({ of, modulus, limit }: Test) => v[of] % modulus < limit;
  const run = (statements: Statement[], depth: number): void => {
    for (const s of statements) {
      if (s.kind === 'add') v[s.to] = (v[s.to] + s.amount) >>> 0;
      else if (s.kind === 'mix') v[0] = (v[0] ^ (v[1] * 5)) >>> 0;
      else if (s.kind === 'if') run(holds(s.test) ? s.yes : s.no, depth);
      else if (s.kind === 'break' && depth > 0 && holds(s.test)) {
        throw new Break(s.outer && depth > 1 ? depth - 1 : depth);
      } else if (s.kind === 'continue' && depth > 0 && holds(s.test)) throw new Continue();
      else if (s.kind === 'exit' && holds(s.test)) throw new Exit();
      else if (s.kind === 'loop') {
        try {
          for (let i = 0; i < s.rounds; i++) {
            try {
              v[1] = (v[1] + i) >>> 0;
              run(s.body, depth + 1);
            } catch (e) {
              if (!(e instanceof Continue)) throw e;
            }
          }
        } catch (e) {
          if (!(e instanceof Break) || e.depth !== depth + 1) throw e;
        }
      }
    }
  };
  try {
    run(program, 0);
  } catch (e) {
    if (e instanceof Exit) return 'exited';
    throw e;
  }
  return v;
}

/** The same program as a kernel. */
function build(k: TestBuilder<Record<never, never>>, program: Statement[]): void {
  const v: [Var<'u32'>, Var<'u32'>] = [k.var('u32', k.laneId), k.var('u32', k.mad(k.laneId, 7, 3))];
  const holds = ({ of, modulus, limit }: Test): Value<'pred'> => v[of].rem(modulus).lt(limit);
  const emit = (statements: Statement[], loops: Loop[]): void => {
    for (const s of statements) {
      if (s.kind === 'add') v[s.to].addTo(s.amount);
      else if (s.kind === 'mix') v[0].set(v[0].xor(v[1].mul(5)));
      else if (s.kind === 'if') {
        k.if(
          holds(s.test),
          () => emit(s.yes, loops),
          () => emit(s.no, loops),
        );
      } else if (s.kind === 'break' && loops.length > 0) {
        const target = s.outer && loops.length > 1 ? loops[loops.length - 2] : loops.at(-1);
        target?.breakIf(holds(s.test));
      } else if (s.kind === 'continue' && loops.length > 0) {
        const test = holds(s.test);
        k.if(test, () => loops.at(-1)?.continue());
      } else if (s.kind === 'exit') k.if(holds(s.test), () => k.exit());
      else if (s.kind === 'loop') {
        k.for({ to: s.rounds }, (i, loop) => {
          v[1].addTo(i);
          emit(s.body, [...loops, loop]);
        });
      }
    }
  };
  emit(program, []);
  k.params.out.at(k.laneId).store(v[0]);
  k.params.out.at(k.laneId.add(32)).store(v[1]);
  k.params.out.at(k.laneId.add(64)).store(1);
}

const test = fc.record({
  of: fc.constantFrom(0 as const, 1 as const),
  modulus: fc.integer({ min: 2, max: 9 }),
  limit: fc.integer({ min: 0, max: 6 }),
});

const statements = fc.letrec<{ block: Statement[]; statement: Statement }>((tie) => ({
  block: fc.array(tie('statement'), { maxLength: 4 }),
  statement: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({
      kind: fc.constant('add' as const),
      to: fc.constantFrom(0 as const, 1 as const),
      amount: fc.integer({ min: 1, max: 99 }),
    }),
    fc.record({ kind: fc.constant('mix' as const) }),
    fc.record({ kind: fc.constant('break' as const), test, outer: fc.boolean() }),
    fc.record({ kind: fc.constant('continue' as const), test }),
    fc.record({ kind: fc.constant('exit' as const), test }),
    fc.record({ kind: fc.constant('if' as const), test, yes: tie('block'), no: tie('block') }),
    fc.record({
      kind: fc.constant('loop' as const),
      rounds: fc.integer({ min: 0, max: 5 }),
      body: tie('block'),
    }),
  ),
})).block;

describe('control flow', () => {
  it('runs every lane as if it were alone', () => {
    fc.assert(
      fc.property(statements, (program) => {
        const { out } = runKernel({}, (k) => build(k, program));
        for (let lane = 0; lane < 32; lane++) {
          const want = interpret(program, lane);
          const got = out[64 + lane] === 0 ? 'exited' : [out[lane], out[32 + lane]];
          expect(got).toEqual(want);
        }
      }),
      { numRuns: 300, seed: 42 },
    );
  });

  it('gives long runs of instructions the same meaning as short ones', () => {
    const { out } = runKernel({}, (k) => {
      const values = [k.laneId.add(1)];
      for (let i = 1; i < 700; i++) {
        const last = values[i - 1];
        values.push(i % 50 === 0 ? k.shuffleXor(last, 1) : last.mul(3).add(values[i >> 1]));
      }
      k.params.out.at(k.laneId).store(values[699]);
    });
    const lanes: number[][] = Array.from({ length: 32 }, (_, l) => [l + 1]);
    for (let i = 1; i < 700; i++) {
      const next = lanes.map((v, l) =>
        i % 50 === 0 ? lanes[l ^ 1][i - 1] : (Math.imul(v[i - 1], 3) + v[i >> 1]) >>> 0,
      );
      next.forEach((value, l) => {
        lanes[l].push(value);
      });
    }
    expect([...out.slice(0, 32)]).toEqual(lanes.map((v) => v[699] >>> 0));
  });

  it('leaves out the lanes that a block does not fill', () => {
    const { out } = runKernel({ threads: 40, grid: 3 }, (k) => {
      k.params.out.at(k.mad(k.blockIdx.x, 40, k.threadIdx.x)).store(k.special('lanemask_eq'));
    });
    expect(out[119]).toBe(1 << 7);
    expect(out[120]).toBe(0);
  });

  it('numbers the threads of three-dimensional blocks and grids', () => {
    const kernel = defineKernel(
      { name: 'dimensions', params: { out: global('u32') }, block: [4, 3, 2] },
      (k, { out }) => {
        const [t, b] = [k.threadIdx, k.blockIdx];
        const thread = k.mad(k.mad(t.z, 3, t.y), 4, t.x);
        const block = k.mad(k.mad(b.z, k.gridDim.y, b.y), k.gridDim.x, b.x);
        const code = k
          .mad(t.z, 100, k.mad(t.y, 10, t.x))
          .add(k.mad(b.z, 100, k.mad(b.y, 10, b.x)).mul(1000));
        out.at(k.mad(block, 24, thread)).store(code);
      },
    );
    const memory = new SimMemory();
    const out = memory.alloc(24 * 30 * 4);
    simulate(kernel, { grid: [5, 3, 2], memory, params: { out } });
    const codes = new Uint32Array(memory.read(out, 24 * 30 * 4).buffer);
    expect(codes[0]).toBe(0);
    expect(codes[24 * 29 + 23]).toBe(124123);
    expect(codes[24 * 7 + 13]).toBe(12101);
  });
});
