import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { encodeTensorMap, type MatrixSums, SimMemory, simulate } from '../index.ts';
import type { Tolerance } from './case.ts';
import {
  type GoldenAnswers,
  type GoldenCase,
  goldenFamilies,
  goldenFileName,
  goldenKernels,
  parseGoldenFile,
} from './index.ts';

function recorded(family: string): GoldenAnswers | undefined {
  const file = fileURLToPath(new URL(goldenFileName(family), import.meta.url));
  return existsSync(file) ? parseGoldenFile(readFileSync(file, 'utf8')).answers : undefined;
}

const answers = new Map(goldenFamilies().map((family) => [family, recorded(family)]));

/** Runs a case in the simulator; gives its outputs. */
function simulated(golden: GoldenCase, matrixSums: MatrixSums): Uint8Array<ArrayBuffer>[] {
  const memory = new SimMemory();
  const addresses = golden.buffers.map(({ bytes }) => memory.allocFrom(bytes));
  const params: Record<string, bigint | Uint8Array> = {};
  golden.buffers.forEach(({ name }, i) => {
    params[name] = addresses[i];
  });
  for (const { name, buffer, map } of golden.maps ?? []) {
    params[name] = encodeTensorMap({ ...map, address: params[buffer] as bigint });
  }
  const { grid, target } = golden;
  simulate(golden.kernel, { grid, target, memory, params: params as never, matrixSums });
  return golden.buffers.flatMap(({ output, bytes }, i) =>
    output ? [memory.read(addresses[i], bytes.length)] : [],
  );
}

/** Orders f32 patterns as numbers, so that their difference counts units in the last place. */
const ordered = (pattern: number): number => (pattern < 0 ? -(pattern & 0x7fffffff) : pattern);

function agrees(tolerance: Tolerance, got: number, want: number, words: [number, number]): boolean {
  if (words[0] === words[1] || tolerance.kind === 'exact') return words[0] === words[1];
  if (!Number.isFinite(got) || !Number.isFinite(want)) {
    return Object.is(got, want);
  }
  if (tolerance.kind === 'ulp') {
    return Math.abs(ordered(words[0]) - ordered(words[1])) <= tolerance.ulps;
  }
  const error = Math.abs(got - want);
  return error <= tolerance.absolute || error <= tolerance.relative * Math.abs(want);
}

function firstDifference(
  golden: GoldenCase,
  got: Uint8Array,
  want: Uint8Array,
): string | undefined {
  if (golden.tolerance.kind === 'exact') {
    const at = got.findIndex((byte, i) => byte !== want[i]);
    return at < 0 ? undefined : `byte ${at}: got ${got[at]}, the GPU gave ${want[at]}`;
  }
  const [g, w] = [got, want].map((bytes) => bytes.slice().buffer);
  const [gi, wi] = [new Int32Array(g), new Int32Array(w)];
  const [gf, wf] = [new Float32Array(g), new Float32Array(w)];
  const at = gi.findIndex((word, i) => !agrees(golden.tolerance, gf[i], wf[i], [word, wi[i]]));
  return at < 0 ? undefined : `f32 ${at}: got ${gf[at]}, the GPU gave ${wf[at]}`;
}

describe('golden kernels', () => {
  it.each(['matrix', 'wgmma'])(
    '%s: every bit is the GPU’s when sums are cut off as its tensor cores do it',
    (family) => {
      for (const golden of goldenKernels().filter((c) => c.family === family)) {
        const want = answers.get(family)?.get(golden.name)?.[0];
        const got = simulated(golden, 'h200')[0];
        const exact: GoldenCase = { ...golden, tolerance: { kind: 'exact' } };
        if (want !== undefined)
          expect(firstDifference(exact, got, want), golden.name).toBeUndefined();
      }
    },
  );

  it('have distinct names', () => {
    const names = goldenKernels().map(({ family, name }) => `${family}/${name}`);
    expect(new Set(names).size).toBe(names.length);
  });

  for (const family of goldenFamilies()) {
    const cases = goldenKernels().filter((c) => c.family === family);
    const known = answers.get(family);
    const verb = known === undefined ? 'runs them; no GPU has yet' : 'gives what the GPU gave';
    it(`${family}: the simulator ${verb} (${cases.length} kernels)`, () => {
      for (const golden of cases) {
        const outputs = simulated(golden, 'exact');
        if (known === undefined) continue;
        const want = known.get(golden.name);
        expect(want, `${family}/${golden.name} has no recorded answer`).toBeDefined();
        outputs.forEach((output, i) => {
          const difference = firstDifference(golden, output, want?.[i] ?? new Uint8Array());
          expect(difference, `${family}/${golden.name}`).toBeUndefined();
        });
      }
    });

    it(`${family}: no recorded answer is left over`, () => {
      const names = new Set(cases.map(({ name }) => name));
      const extra = [...(answers.get(family)?.keys() ?? [])].filter((name) => !names.has(name));
      expect(extra).toEqual([]);
    });
  }
});
