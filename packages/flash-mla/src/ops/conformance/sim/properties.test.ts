import { describe, expect, it } from 'vitest';
import { selectProblems } from '../../cases.ts';
import { failuresOn } from '../testing/drawn-problems.ts';

const devices = [
  ['Ampere', 'sim', '1'],
  ['Ada', 'sim:1', '2'],
  ['Hopper', 'sim:2', '3'],
] as const;

/** Problems that failed once, by the parameters that made them fail. */
const failedOnce = [
  // A masked logit, −∞, times 0 was NaN.
  'dtype=e4m3,descaleQ=zero,sQ=2,causal=true',
  'dtype=e4m3,descaleK=zero,sQ=2,causal=true',
  'dtype=e4m3,descaleK=zero,dQk=576,dV=512,page=64,maxBlocks=1',
  // Ada: rows of raw keys were declared a second time, as rows that must be whole segments.
  'dtype=e4m3,dQk=144,sQ=1',
];

/** Drawn problems that failed once as a whole. */
const drawnOnce = [
  // Logits near 4e8, where float32 counts in steps of 32: weights of f16 were infinite.
  '313:20',
  '313:20:dtype=e4m3,scaleExponent=40,dQk=576,dV=512,page=64,sQ=1,group=16',
  // The same of bf16, which holds more: logits near 1e13.
  '313:20:dtype=bf16,scaleExponent=40,dQk=576,dV=512,page=64,sQ=1,group=64',
] as const;

describe.each(devices)('drawn problems on a simulated GPU: %s', (_, spec, seed) => {
  it('are solved', { timeout: 600_000 }, async () => {
    // Cheap ones only: a simulator does about 100 MFLOP a second.
    expect(await failuresOn(spec, { count: 16, seed, maxCost: 12 })).toEqual([]);
  });

  it.each(failedOnce)('with %s are solved', async (settings) => {
    const [drawn] = selectProblems({ count: 1, seed, filter: 'dense-decode table=good' });
    const small =
      'b=2,hKv=1,group=4,dV=32,page=16,maxBlocks=3,blocks=6,lengths=ragged,logits=normal';
    const named = `${seed}:${drawn?.seed.index}:${small},mode=once,noColumns=false,${settings}`;
    expect(await failuresOn(spec, { count: 1, seed: named })).toEqual([]);
  });

  it.each(drawnOnce)('%s is solved', async (named) => {
    expect(await failuresOn(spec, { count: 1, seed: named })).toEqual([]);
  });
});
