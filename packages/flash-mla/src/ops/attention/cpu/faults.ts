import { InvalidArgumentError } from '@flash-mla/core';
import type { Command } from '../../../runtime/cpu/commands/operations.ts';
import type { DeviceFault } from '../../../runtime/cpu/pool/protocol.ts';

type Describe = (fault: DeviceFault) => { argument: string; expected: string };

/** What each code of assembly/work.ts means. */
const faults: Readonly<Record<number, Describe>> = {
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
