import type { FaultTexts } from '../../../runtime/cpu/commands/command.ts';

/** What each code of assembly/work.ts means. */
export const attentionFaults: FaultTexts = {
  1: ({ row, column }) => ({
    argument: `numSplits[${row + 1}] - numSplits[${row}]`,
    expected: `1 to ${Math.max(1, column)} splits`,
  }),
  2: ({ row, column }) => ({
    argument: 'tileSchedulerMetadata',
    expected: `a row for split ${column} of request ${row}`,
  }),
  3: ({ row }) => ({
    argument: `cuSeqlensQo[${row}]`,
    expected: 'an offset not below the one before',
  }),
  4: ({ row }) => ({
    argument: `cuSeqlensKv[${row}]`,
    expected: 'an offset not below the one before',
  }),
};
