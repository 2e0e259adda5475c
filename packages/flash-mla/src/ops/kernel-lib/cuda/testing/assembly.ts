import { emitPtx } from '@flash-mla/ptx';
import { expect, it } from 'vitest';
import { assemble, assembledTargets, hasPtxas } from '../../../../../../ptx/src/testing/ptxas.ts';
import type { LaunchPlan } from '../../../../runtime/cuda/kernel.ts';

/** Shared memory in bytes that one CTA may use. */
const sharedLimits: Readonly<Record<string, number>> = {
  sm_80: 166_912,
  sm_86: 101_376,
  sm_89: 101_376,
  sm_90a: 232_448,
  sm_100: 232_448,
  sm_120: 101_376,
};
const registersPerSm = 65_536;

/** A launch that selection makes for an architecture. */
export interface AssembledLaunch {
  readonly name: string;
  /** `undefined` where selection does not use it on this architecture. */
  launch(target: string, sharedLimit: number): LaunchPlan | undefined;
}

/** Tests that NVIDIA's assembler takes the kernels without spills, local memory, costly notes or excess. */
export function itAssembles(launches: readonly AssembledLaunch[]): void {
  it.skipIf(!hasPtxas).each(launches.map((each) => [each.name, each] as const))(
    'assembles everywhere without spills (needs ptxas): %s',
    (_name, { launch }) => {
      for (const target of assembledTargets) {
        const plan = launch(target, sharedLimits[target] as number);
        if (plan === undefined) continue;
        const kernel = plan.kernel.build(plan.config);
        const report = assemble(emitPtx(kernel, target, { locations: false }), target);
        const [x = 1, y = 1, z = 1] = kernel.block;
        const measured = {
          target,
          ok: report.ok,
          spills: report.spillBytes,
          stack: report.stackBytes,
          notes: report.notes,
          fitsRegisters: report.registers * x * y * z <= registersPerSm,
          fitsShared: kernel.sharedBytes <= (sharedLimits[target] as number),
        };
        const wanted = {
          ok: true,
          spills: 0,
          stack: 0,
          notes: [],
          fitsRegisters: true,
          fitsShared: true,
        };
        expect(measured, report.log).toEqual({ target, ...wanted });
      }
    },
    120_000,
  );
}
