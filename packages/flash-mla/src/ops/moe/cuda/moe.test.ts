import { describe, expect, it } from 'vitest';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import { limitsFor } from '../../kernel-lib/cuda/testing/sim-context.ts';
import type { ExpertProblem } from './experts_launch.ts';
import { portableExpertMlp } from './sm80_expert_mlp_launch.ts';
import { portableRoute, type RouteProblem } from './sm80_route_experts_launch.ts';
import { streamExpertMlp } from './sm80_stream_experts_launch.ts';
import { hopperExpertMlp } from './sm90_expert_mlp_launch.ts';

const h200 = limitsFor('h200');

const route = (more: Partial<RouteProblem> = {}): RouteProblem => ({
  ...{
    rows: 3,
    experts: 256,
    topK: 8,
    sharedExperts: 1,
    scoring: 'sigmoid',
    groups: 8,
    topGroups: 4,
  },
  ...{ groupScore: 'top2', normalize: true, hasBias: true, logits: 'f32', ...more },
});

const rows = (dtype: 'bf16' | 'f32' | 'e4m3', alignment = 16) => ({
  ...{ dtype, strides: [4096, 64], alignment },
});

const experts = (more: Partial<ExpertProblem> = {}): ExpertProblem => ({
  ...{ rows: 1, topK: 6, experts: 64, hidden: 2048, width: 1408, x: rows('bf16') },
  ...{ gateUp: rows('bf16'), down: rows('bf16'), residual: rows('bf16'), out: rows('bf16') },
  ...more,
});

describe('the kernels of experts', () => {
  it('have keys without rows', () => {
    expect(portableRoute.keyOf(route({ rows: 900 }))).toEqual(portableRoute.keyOf(route()));
    expect(portableRoute.keyOf(route({ topGroups: 2 }))).not.toEqual(portableRoute.keyOf(route()));
    const key = (n: number) => portableExpertMlp.keyOf(experts({ rows: n }));
    expect(key(4)).toEqual(key(1));
    expect(key(40_000)).toEqual(key(100));
    expect(new Set([1, 10, 20, 40, 5000].map((n) => JSON.stringify(key(n)))).size).toBe(3);
  });

  it('stream weights of bf16 and e4m3 where depths are whole', () => {
    const takes = (more: Partial<ExpertProblem>) => streamExpertMlp.accepts(experts(more), h200);
    expect(takes({ rows: 1000 })).toBe(true);
    expect(takes({ gateUp: rows('e4m3'), down: rows('e4m3') })).toBe(true);
    expect(takes({ hidden: 7168, width: 2048, experts: 256 })).toBe(true);
    expect(takes({ width: 1400 })).toBe(false);
    expect(takes({ x: rows('f32') })).toBe(false);
    expect(takes({ down: rows('bf16', 8) })).toBe(false);
    const tile = (n: number) => streamExpertMlp.plan(experts({ rows: n }), h200).tile.rows;
    expect([1, 32, 64, 128, 5000].map(tile)).toEqual([8, 8, 16, 24, 32]);
  });

  it('take few pairs as columns of multiplications on Hopper, many as their rows', () => {
    const on = { ...h200, specificTarget: 'sm_90a' };
    const takes = (more: Partial<ExpertProblem>) => hopperExpertMlp.accepts(experts(more), on);
    expect([takes({}), takes({ rows: 5000 }), takes({ width: 1400 })]).toEqual([true, true, true]);
    expect([takes({ width: 1404 }), takes({ gateUp: rows('e4m3') })]).toEqual([false, false]);
    expect(hopperExpertMlp.accepts(experts(), h200)).toBe(false);
    const tile = (n: number) => {
      const { isSwapped, pairs } = hopperExpertMlp.plan(experts({ rows: n }), on).tile;
      return `${pairs} as ${isSwapped ? 'columns' : 'rows'}`;
    };
    expect([1, 32, 64, 128, 400, 500, 5000].map(tile)).toMatchInlineSnapshot(`
      [
        "8 as columns",
        "8 as columns",
        "16 as columns",
        "24 as columns",
        "56 as columns",
        "64 as rows",
        "128 as rows",
      ]
    `);
    const { workspaceBytes } = hopperExpertMlp.plan(experts({ rows: 100_000 }), on);
    expect(workspaceBytes).toBeLessThan(600 * 2 ** 20);
  });

  it('leave what lanes of a warp cannot do to others', () => {
    expect(portableRoute.accepts(route({ topK: 33 }))).toBe(false);
    expect(portableRoute.accepts(route({ topK: 30, sharedExperts: 3 }))).toBe(false);
    expect(portableRoute.accepts(route({ groups: 64, topGroups: 3 }))).toBe(false);
    expect(portableRoute.accepts(route({ groups: 64, topGroups: 64 }))).toBe(true);
  });

  it('compute many rows some at a time', () => {
    const { launches, workspaceBytes } = portableExpertMlp.plan(experts({ rows: 100_000 }));
    expect(workspaceBytes).toBeLessThan(300 * 2 ** 20);
    expect(launches.combine.grid[0]).toBeLessThan(100_000);
  });
});

describe('experts as machine code', () => {
  const problems: [string, ExpertProblem][] = [
    ['one row', experts()],
    ['many rows', experts({ rows: 500 })],
    ['e4m3', experts({ rows: 500, gateUp: rows('e4m3'), down: rows('e4m3') })],
    ['f32, not whole', experts({ rows: 500, hidden: 37, width: 21, x: rows('f32', 4) })],
  ];
  const streamed: [string, Partial<ExpertProblem>][] = [
    ['one row', {}],
    ['128 rows', { rows: 128 }],
    ['many rows', { rows: 500 }],
    ['e4m3', { rows: 128, gateUp: rows('e4m3'), down: rows('e4m3') }],
    ['deep rows', { hidden: 7168, width: 2048, experts: 256 }],
  ];
  const onWarpGroups: [string, Partial<ExpertProblem>][] = [
    ['one row', {}],
    ['128 rows', { rows: 128 }],
    ['tiles of 64 rows', { rows: 500 }],
    ['tiles of 128 rows', { rows: 8192, topK: 8, experts: 66 }],
  ];
  itAssembles([
    ...onWarpGroups.flatMap(([name, more]) =>
      (['gather', 'up', 'down'] as const).map((role) => ({
        name: `on warp groups, ${name}: ${role}`,
        launch: (target: string) => {
          const limits = { ...h200, specificTarget: 'sm_90a' };
          const problem = experts(more);
          expect(hopperExpertMlp.accepts(problem, limits)).toBe(true);
          return target === 'sm_90a'
            ? hopperExpertMlp.plan(problem, limits).launches[role]
            : undefined;
        },
      })),
    ),
    ...streamed.flatMap(([name, more]) =>
      (['up', 'down'] as const).map((role) => ({
        name: `streamed, ${name}: ${role}`,
        launch: (_: string, maxSharedPerBlock: number) => {
          const limits = { ...h200, maxSharedPerBlock, maxSharedPerSm: maxSharedPerBlock + 1024 };
          const problem = experts(more);
          if (!streamExpertMlp.accepts(problem, limits)) return undefined;
          return streamExpertMlp.plan(problem, limits).launches[role];
        },
      })),
    ),
    ...[route(), route({ scoring: 'softmax', experts: 1024, groups: 1, topGroups: 1 })].map(
      (each, i) => ({
        ...{ name: `routing ${i}`, launch: () => portableRoute.plan(each).launches.main },
      }),
    ),
    ...problems.flatMap(([name, problem]) =>
      (['sort', 'up', 'down', 'combine'] as const).map((role) => ({
        ...{
          name: `${name}: ${role}`,
          launch: () => portableExpertMlp.plan(problem).launches[role],
        },
      })),
    ),
  ]);
});
