import { describe, expect, it } from 'vitest';
import { itAssembles } from '../../kernel-lib/cuda/testing/assembly.ts';
import { type ExpertProblem, portableExpertMlp } from './sm80_expert_mlp_launch.ts';
import { portableRoute, type RouteProblem } from './sm80_route_experts_launch.ts';

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
  itAssembles([
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
