import * as attention from '../../../attention/operations.ts';
import type { DecodeShape } from '../../../attention/schedule-contract.ts';
import { appendRows, dequantizeRows, quantizeRows } from '../../../kv-cache/operations.ts';
import { defineCpuKernel } from '../kernel.ts';
import { planSchedule } from '../plan.ts';
import { appendCommand } from './append.ts';
import { denseAttentionCommand } from './dense-attention.ts';
import { denseDecodeCommand } from './dense-decode.ts';
import { dequantizeCommand, quantizeCommand } from './quantize.ts';
import { scheduleCommand } from './schedule.ts';
import { sparseDecodeCommand } from './sparse-decode.ts';
import { sparsePrefillCommand } from './sparse-prefill.ts';
import type { CommandContext } from './workspace.ts';

const traits = ({ problem }: DecodeShape, { workers, kernels }: CommandContext) =>
  planSchedule(problem, workers, kernels.blockTokens());

/** The library's kernels for processors. */
export const cpuKernels = [
  defineCpuKernel({
    operation: attention.computeSchedule,
    command: (_, args) => scheduleCommand(args),
  }),
  defineCpuKernel({ operation: attention.denseDecode, command: denseDecodeCommand, traits }),
  defineCpuKernel({ operation: attention.sparseDecode, command: sparseDecodeCommand, traits }),
  defineCpuKernel({ operation: attention.sparsePrefill, command: sparsePrefillCommand }),
  defineCpuKernel({ operation: attention.denseAttention, command: denseAttentionCommand }),
  defineCpuKernel({ operation: quantizeRows, command: (_, args) => quantizeCommand(args) }),
  defineCpuKernel({ operation: dequantizeRows, command: dequantizeCommand }),
  defineCpuKernel({ operation: appendRows, command: (_, args) => appendCommand(args) }),
];
