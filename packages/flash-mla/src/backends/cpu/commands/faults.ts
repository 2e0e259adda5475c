import { InvalidArgumentError } from '../../../errors.ts';
import type { DeviceFault } from '../pool/protocol.ts';
import type { Command } from './operations.ts';

type Describe = (fault: DeviceFault) => { argument: string; expected: string };

/** What each code of assembly/work.ts means. */
const faults: Readonly<Record<number, Describe>> = {
  1: ({ row, column }) => ({
    argument: `cacheSeqlens[${row}]`,
    expected: `a length from 0 to what the ${column} pages of its block table row hold`,
  }),
  2: ({ row, column }) => ({
    argument: `blockTable[${row}, ${column}]`,
    expected: 'the index of a block of the cache, as cacheSeqlens says that it is used',
  }),
  3: ({ row, column }) => ({
    argument: `numSplits[${row + 1}] - numSplits[${row}]`,
    expected: `1 to ${Math.max(1, column)} splits`,
  }),
  4: ({ row, column }) => ({
    argument: 'tileSchedulerMetadata',
    expected: `a row for split ${column} of request ${row}`,
  }),
  5: ({ row, column }) => ({ argument: `topkLength[${row}]`, expected: `0 to ${column}` }),
  6: ({ row, column }) => ({ argument: `extraTopkLength[${row}]`, expected: `0 to ${column}` }),
  7: ({ row, column }) => ({
    argument: `cuSeqlensQo[${row}]`,
    expected: `a prefix sum that never falls and ends within ${column} tokens`,
  }),
  8: ({ row, column }) => ({
    argument: `cuSeqlensKv[${row}]`,
    expected: `a prefix sum that never falls and ends within ${column} tokens`,
  }),
};

/** The typed error for what a kernel found wrong with data on the device. */
export function describeFault(command: Command, fault: DeviceFault): Error {
  const describe = faults[fault.code];
  if (!describe) return new Error(`${command.operation}: unknown device fault ${fault.code}`);
  const { argument, expected } = describe(fault);
  return new InvalidArgumentError(
    argument,
    expected,
    `${fault.value}`,
    `Found on the device; ${command.operation} wrote no output.`,
  );
}
