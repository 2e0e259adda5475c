import type { FaultTexts } from '../../../runtime/cpu/commands/command.ts';
import { faultCodes } from './descriptors.ts';

const { BAD_SPLITS, BAD_METADATA, BAD_CU_SEQLENS_Q, BAD_CU_SEQLENS_K } = faultCodes.values;

/** What each code means that a kernel reports. */
export const attentionFaults: FaultTexts = {
  [BAD_SPLITS]: ({ row, column }) => ({
    argument: `numSplits[${row + 1}] - numSplits[${row}]`,
    expected: `1 to ${Math.max(1, column)} splits`,
  }),
  [BAD_METADATA]: ({ row, column }) => ({
    argument: 'tileSchedulerMetadata',
    expected: `a row for split ${column} of request ${row}`,
  }),
  [BAD_CU_SEQLENS_Q]: ({ row }) => ({
    argument: `cuSeqlensQo[${row}]`,
    expected: 'an offset not below the one before',
  }),
  [BAD_CU_SEQLENS_K]: ({ row }) => ({
    argument: `cuSeqlensKv[${row}]`,
    expected: 'an offset not below the one before',
  }),
};
