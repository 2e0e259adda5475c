import { InvalidArgumentError } from '@flash-mla/core';
import type { DeviceFault } from '../pool/protocol.ts';
import type { Command } from './command.ts';

/** The typed error for what a kernel found wrong with data on the device. */
export function describeFault(command: Command, fault: DeviceFault): Error {
  const text = command.faults?.[fault.code]?.(fault);
  if (!text) return new Error(`${command.kind.name}: unknown device fault ${fault.code}`);
  const { argument, expected } = text;
  return new InvalidArgumentError(
    argument,
    expected,
    `${fault.value}`,
    `Found on the device; ${command.kind.name} wrote no output.`,
  );
}
