import type { CommandContext } from '../../../runtime/cpu/commands/context.ts';
import { defineCpuKernel } from '../../../runtime/cpu/kernel.ts';
import * as attention from '../operations.ts';
import type { DecodeShape } from '../schedule-contract.ts';
import { denseAttentionCommand } from './dense-attention.ts';
import { denseDecodeCommand } from './dense-decode.ts';
import { planSchedule } from './plan.ts';
import { scheduleCommand } from './schedule.ts';
import { sparseDecodeCommand } from './sparse-decode.ts';
import { sparsePrefillCommand } from './sparse-prefill.ts';

const traits = ({ problem }: DecodeShape, { workers, kernels }: CommandContext) =>
  planSchedule(problem, workers, kernels.blockTokens());

/** Attention on processors. */
export const cpuKernels = [
  defineCpuKernel({
    operation: attention.computeSchedule,
    command: (_, args) => scheduleCommand(args),
  }),
  defineCpuKernel({ operation: attention.denseDecode, command: denseDecodeCommand, traits }),
  defineCpuKernel({ operation: attention.sparseDecode, command: sparseDecodeCommand, traits }),
  defineCpuKernel({ operation: attention.sparsePrefill, command: sparsePrefillCommand }),
  defineCpuKernel({ operation: attention.denseAttention, command: denseAttentionCommand }),
];
