/** What the conformance suite and the command know of each family of operations. */

import { activationTools } from './activation/tools.ts';
import { attentionTools, scheduleTools } from './attention/tools.ts';
import type { OperationBench } from './bench/operation.ts';
import type { OperationTools } from './conformance/operation-tools.ts';
import { embeddingTools } from './embedding/tools.ts';
import { gemmTools } from './gemm/tools.ts';
import { indexerTools } from './indexer/tools.ts';
import { kvCacheTools } from './kv-cache/tools.ts';
import { latentTools } from './latent/tools.ts';
import { moeTools } from './moe/tools.ts';
import { normTools } from './norm/tools.ts';
import { ropeTools } from './rope/tools.ts';
import { samplingTools } from './sampling/tools.ts';
import { swapInTools } from './swap-in/tools.ts';

export const operationTools: readonly OperationTools[] = [
  attentionTools,
  kvCacheTools,
  scheduleTools,
  normTools,
  gemmTools,
  ropeTools,
  latentTools,
  activationTools,
  embeddingTools,
  moeTools,
  samplingTools,
  swapInTools,
  indexerTools,
];

/** The benchmarks by name, in the order of the help. */
export const benchOperations: Readonly<Record<string, OperationBench>> = Object.fromEntries(
  operationTools.flatMap(({ benches }) => benches.map((bench) => [bench.name, bench])),
);
