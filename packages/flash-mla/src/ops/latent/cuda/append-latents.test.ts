import { describe, expect, it } from 'vitest';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import { type AppendLatentsProblem, portableAppendLatents } from './kernels.ts';

const rows = (dtype: 'bf16' | 'f32', alignment = 16) => ({ dtype, strides: [4096], alignment });
const problem = (more: Partial<AppendLatentsProblem> = {}): AppendLatentsProblem => ({
  ...{ rows: 1, latent: 512, rope: 64, heads: 16, interleaved: true, hasPositions: true },
  ...{ latents: rows('bf16'), weight: rows('f32'), cache: rows('bf16') },
  ...{ queries: 'bf16', rotated: 'bf16', ...more },
});

it('the key of appendLatents holds no rows', () => {
  const { keyOf } = portableAppendLatents;
  expect(keyOf(problem({ rows: 999 }))).toEqual(keyOf(problem()));
  expect(keyOf(problem({ heads: 20 }))).not.toEqual(keyOf(problem()));
  expect(portableAppendLatents.plan(problem({ rows: 7 })).launches.main.grid).toEqual([7, 1, 1]);
});

describe('appendLatents as machine code', () => {
  const launch = (name: string, each: AppendLatentsProblem) => ({
    ...{ name, launch: () => portableAppendLatents.plan(each).launches.main },
  });
  itAssembles([
    launch('512 + 64', problem()),
    launch('256 + 32, halves', problem({ latent: 256, rope: 32, heads: 40, interleaved: false })),
    launch('f32, unaligned', problem({ latent: 37, latents: rows('f32', 4), queries: 'f32' })),
    launch('the widest', problem({ latent: 2048, latents: rows('f32') })),
  ]);
});
