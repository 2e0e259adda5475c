import type { Tuple } from '../instructions/matrix.ts';
import { field } from '../layout/shared.ts';
import { type Data, type GoldenCase, type Tolerance, warpCase } from './case.ts';
import { as, data, generator, random, uniform, wide } from './data.ts';

const family = 'matrix';

/** Pseudo-random e4m3 codes without NaN. */
function codesOf(seed: number): number[] {
  const next = generator(seed);
  return Array.from({ length: 6 * 128 }, () => {
    const code = next() & 0xff;
    return (code & 0x7f) === 0x7f ? code ^ 1 : code;
  });
}

/** How far the tensor core's sum may be from the exact one, for products of at most 1. */
const sums: Tolerance = { kind: 'close', absolute: 2 ** -20, relative: 2 ** -20 };

/** Fragment loads and stores, and multiplications on the tensor cores. */
export function matrixCases(): GoldenCase[] {
  const cases: GoldenCase[] = [];
  const tile = random('b16', 32 * 8, 81);
  for (const count of [1, 2, 4] as const) {
    for (const trans of [false, true]) {
      const name = `x${count}${trans ? '.trans' : ''}`;
      const shared = { s: field('b16', [32, 8]) };
      cases.push(
        warpCase(
          family,
          `ldmatrix.${name}`,
          { input: as('b32', tile), output: 'b32', count: 128, shared },
          (k) => {
            const row = k.shared.s.at(k.laneId, 0);
            row.as('b32').storeVec(k.params.x.at(k.laneId.shl(2)).loadVec(4));
            k.syncWarp();
            const fragments: readonly unknown[] = k.ldmatrix(row, count, { trans });
            (fragments as Tuple<ReturnType<typeof k.activeMask>, 4>).forEach((f, i) => {
              k.params.out
                .at(k.laneId)
                .at(i * 32)
                .store(f);
            });
          },
        ),
        warpCase(
          family,
          `stmatrix.${name}`,
          { input: as('b32', tile), output: 'b32', count: 128, shared },
          (k) => {
            const row = k.shared.s.at(k.laneId, 0);
            row.as('b32').storeVec([0, 0, 0, 0]);
            k.syncWarp();
            const fragments = Array.from({ length: count }, (_, i) =>
              k.params.x
                .at(k.laneId)
                .at(i * 32)
                .load(),
            );
            k.stmatrix(row, fragments, { trans });
            k.syncWarp();
            k.params.out.at(k.laneId.shl(2)).storeVec(row.as('b32').loadVec(4));
          },
        ),
      );
    }
  }
  const inputs: [string, Data<'b32'>, Tolerance][] = [];
  for (const type of ['f16', 'bf16'] as const) {
    inputs.push([type, as('b32', uniform(type, 6 * 64, 82)), sums]);
    // Small integers: every sum is exact, so a wrong position shows as a wrong bit.
    const integers = Array.from({ length: 6 * 64 }, (_, i) => ((i * 37) % 17) - 8);
    inputs.push([`${type} integers`, as('b32', data(type, integers)), { kind: 'exact' }]);
  }
  const codes = Array.from(
    { length: 6 * 128 },
    (_, i) => [0, 0x38, 0xb8, 0x40, 0xc4, 0x30, 0x48][(i * 11) % 7],
  );
  inputs.push(['e4m3 integers', as('b32', data('u8', codes)), { kind: 'exact' }]);
  const fractions = Array.from({ length: 6 * 128 }, (_, i) => ((i * 29) % 0x38) | ((i & 1) << 7));
  inputs.push(['e4m3', as('b32', data('u8', fractions)), sums]);
  const far = (size: number): Tolerance => ({
    kind: 'close',
    absolute: size * 2 ** -20,
    relative: 2 ** -20,
  });
  const special = [Infinity, -Infinity, Number.NaN, 65504, 0, -0, 1, 2 ** -24];
  const some = Array.from({ length: 6 * 64 }, (_, i) => (i % 23 === 0 ? special[(i / 23) % 8] : 1));
  inputs.push(
    ['f16 wide', as('b32', wide('f16', 6 * 64, 83, [-14, 8])), far(2 ** 20)],
    ['f16 subnormal', as('b32', wide('f16', 6 * 64, 84, [-24, -12])), far(32)],
    ['bf16 wide', as('b32', wide('bf16', 6 * 64, 85, [-20, 20])), far(2 ** 44)],
    ['bf16 tiny', as('b32', wide('bf16', 6 * 64, 86, [-80, -60])), far(32)],
    ['bf16 huge', as('b32', wide('bf16', 6 * 64, 87, [40, 63])), far(2 ** 127)],
    ['f16 special', as('b32', data('f16', some)), sums],
    ['bf16 special', as('b32', data('bf16', some)), sums],
    ['e4m3 wide', as('b32', data('u8', codesOf(88))), far(2 ** 17)],
  );
  for (const [name, input, tolerance] of inputs) {
    const type = name.split(' ')[0] as 'f16' | 'bf16' | 'e4m3';
    const register = { f16: 'f16x2', bf16: 'bf16x2', e4m3: 'e4m3x4' } as const;
    cases.push(
      warpCase(family, `mma.${name}`, { input, output: 'f32', count: 128, tolerance }, (k) => {
        const words = Array.from({ length: 6 }, (_, i) =>
          k.params.x
            .at(k.laneId)
            .at(i * 32)
            .load()
            .as(register[type]),
        );
        const acc = [0, 1, 2, 3].map((i) => k.var('f32', k.toF32(k.laneId).add(i)));
        k.mma(type, acc, words.slice(0, 4) as never, words.slice(4) as never);
        k.mma(type, acc, words.slice(0, 4) as never, words.slice(4) as never);
        acc.forEach((c, i) => {
          k.params.out
            .at(k.laneId)
            .at(i * 32)
            .store(c);
        });
      }),
    );
  }
  return cases;
}
