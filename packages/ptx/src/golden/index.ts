/**
 * Golden kernels: micro-kernels for every instruction, whose answers are recorded on a GPU and held
 * against the simulator. To record: run each of {@link goldenKernels} on a device, and write what
 * {@link goldenFile} gives for each of {@link goldenFamilies} next to this file.
 * @module
 */
import { atomicCases } from './atomic.ts';
import { bitCases } from './bits.ts';
import { bulkCopyCases } from './bulk_copy.ts';
import type { GoldenCase } from './case.ts';
import { clusterCases } from './cluster.ts';
import { compareCases } from './compare.ts';
import { convertCases } from './convert.ts';
import { floatCases } from './float.ts';
import { halfCases } from './half.ts';
import { integerCases } from './integer.ts';
import { matrixCases } from './matrix.ts';
import { mbarrierCases } from './mbarrier.ts';
import { memoryCases } from './memory.ts';
import { syncCases } from './sync.ts';
import { tensorCopyCases } from './tensor_copy.ts';
import { tensorStoreCases } from './tensor_store.ts';
import { tensorStrideCases } from './tensor_strides.ts';
import { warpCases } from './warp.ts';
import { wgmmaCases } from './wgmma.ts';

export type { GoldenBuffer, GoldenCase, GoldenMap, Tolerance } from './case.ts';
export { type GoldenAnswers, goldenFile, goldenFileName, parseGoldenFile } from './file.ts';

let cases: readonly GoldenCase[] | undefined;

/** All golden kernels with their inputs. */
export function goldenKernels(): readonly GoldenCase[] {
  cases ??= [
    ...integerCases(),
    ...bitCases(),
    ...floatCases(),
    ...halfCases(),
    ...convertCases(),
    ...compareCases(),
    ...memoryCases(),
    ...matrixCases(),
    ...warpCases(),
    ...atomicCases(),
    ...syncCases(),
    ...bulkCopyCases(),
    ...mbarrierCases(),
    ...tensorCopyCases(),
    ...tensorStrideCases(),
    ...tensorStoreCases(),
    ...clusterCases(),
    ...wgmmaCases(),
  ];
  return cases;
}

/** The families: one file of answers each. */
export function goldenFamilies(): readonly string[] {
  return [...new Set(goldenKernels().map(({ family }) => family))];
}
