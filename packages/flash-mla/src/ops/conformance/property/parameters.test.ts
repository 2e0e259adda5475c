import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { DenseDecode } from '../../attention/conformance/problems.ts';
import { Random } from '../suite/random.ts';
import { build, drawProblem, propertyOperations, withValues } from './draw-problem.ts';
import {
  choice,
  exponent,
  flag,
  integer,
  type Parameter,
  simplerValues,
  type Value,
} from './parameters.ts';
import { selectProblems } from './run-properties.ts';
import { formatSeed, parseSeed } from './seed.ts';

const parameters: readonly (readonly [string, Parameter<Value>])[] = [
  ['integer', integer(2, 40, { usual: [7] })],
  ['integer in steps', integer(16, 576, { step: 16, usual: [64] })],
  ['exponent', exponent(-5, 9)],
  ['choice', choice('a', 'b', 'b', 'c')],
  ['flag', flag(0.5)],
];

describe.each(parameters)('a parameter: %s', (name, parameter) => {
  const values = Array.from({ length: 200 }, (_, i) => parameter.draw(new Random(`${name} ${i}`)));

  it('draws values that its text gives back', () => {
    expect(new Set(values).size).toBeGreaterThan(1);
    for (const value of values) expect(parameter.parse(String(value))).toBe(value);
    for (const text of ['', '1.5', '-1000', '99999', 'd', 'True']) {
      expect(parameter.parse(text), text).toBeUndefined();
    }
  });

  it('gets simpler until it is the simplest', () => {
    for (const value of values) {
      let [at, steps] = [value, 0];
      for (;;) {
        const simpler = parameter.simpler(at);
        for (const each of simpler) expect(parameter.parse(String(each))).toBe(each);
        expect(simpler).not.toContain(at);
        const last = simpler.at(-1);
        if (last === undefined) break;
        at = last;
        expect(steps++).toBeLessThan(100);
      }
    }
  });
});

describe('a drawn problem', () => {
  it('follows from the seed and the index alone: changing this changes what seeds name', () => {
    const { name, cost } = drawProblem(7, 123);
    expect(drawProblem(7, 123)).toEqual(drawProblem(7, 123));
    expect({ name, cost }).toMatchInlineSnapshot(`
      {
        "cost": 35,
        "name": "dense-decode mode=once steps=1 outputs=given metadata=tensors dtype=f16 b=1 sQ=2 hKv=1 group=108 dQk=544 dV=512 page=1 maxBlocks=4 blocks=5 table=bad lengths=ragged logits=normal valueExponent=-6 scale=given scaleExponent=-39 descaleQ=none descaleK=none",
      }
    `);
  });

  it('has the same data each time', () => {
    for (let i = 0; i < 8; i++) {
      const problem = drawProblem(3, i);
      expect(isDeepStrictEqual(build(problem), build(drawProblem(3, i))), problem.name).toBe(true);
    }
  });

  it('is named by a seed when it is made simpler', () => {
    for (let i = 0; i < 12; i++) {
      const problem = drawProblem(5, i);
      for (const values of simplerValues(problem.operation.space, problem.values)) {
        const simpler = withValues(problem, values);
        const { seed, index, settings } = parseSeed(formatSeed(simpler.seed));
        const again = drawProblem(seed, index ?? -1, settings);
        expect(again.name).toBe(simpler.name);
        expect(again.values).toEqual(simpler.values);
      }
    }
  });

  it('takes every value that its operation knows', () => {
    const seen = new Map<string, Set<Value>>();
    for (let i = 0; i < 4000; i++) {
      const { operation, values } = drawProblem(1, i);
      for (const [name, value] of Object.entries(values)) {
        const key = `${operation.kind.op} ${name}`;
        seen.set(key, (seen.get(key) ?? new Set()).add(value));
      }
    }
    // Those that normalising leaves one value.
    const fixed = ['quantize steps', 'dequantize steps', 'dequantize rows', 'sparse-prefill scale'];
    for (const { kind, space } of propertyOperations) {
      for (const name of Object.keys(space)) {
        const key = `${kind.op} ${name}`;
        if (fixed.includes(key)) continue;
        expect(seen.get(key)?.size, key).toBeGreaterThan(1);
      }
    }
  });

  it('has queries, keys and lengths out of every range', () => {
    const lengths = new Set<number>();
    const indices = new Set<number>();
    for (const problem of selectProblems({
      count: 0,
      seed: '2',
      filter: 'lengths=wild dense-decode',
    })) {
      if (problem.seed.index > 600) break;
      const [step] = build(problem).steps as [DenseDecode];
      for (const n of step.cacheSeqlens.data) lengths.add(n);
      for (const n of step.blockTable.data) indices.add(n);
    }
    const { MIN, MAX } = { MIN: -(2 ** 31), MAX: 2 ** 31 - 1 };
    for (const n of [MIN, MAX, -1, 0])
      expect([lengths.has(n), indices.has(n)]).toEqual([true, true]);
  });
});

describe('a seed', () => {
  it.each(['7', '7:123', '7:123:b=1,page=4,mode=once'])('%s is read and said', (text) => {
    expect(formatSeed(parseSeed(text))).toBe(text);
  });

  it.each(['', 'x', '-1', '7:', '7:1:', '7:b=1', '7:1:b', '7:1:b=1,', '99999999999'])(
    'refuses %j',
    (text) => {
      expect(() => parseSeed(text)).toThrow(expect.objectContaining({ argument: 'seed' }));
    },
  );

  it.each(['colour=red', 'steps=0', 'mode=twice'])(
    'refuses %s, which no problem has',
    (setting) => {
      const [name = '', value = ''] = setting.split('=');
      expect(() => drawProblem(1, 2, { [name]: value })).toThrow(/settings of this problem/);
    },
  );
});
