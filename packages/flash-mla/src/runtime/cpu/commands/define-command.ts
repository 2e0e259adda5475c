import { defineRecord, type Fields, type Schema } from './schema.ts';

/** Bytes before a command's descriptor, for its head. */
export const headBytes = 64;
/** The most bytes of a descriptor. */
export const maxDescriptorBytes = 512;

/** A kernel that the threads of a device run, and the record that tells it what to do. */
export interface CommandKind<F extends Fields = Fields> {
  readonly kind: 'command';
  /** The kernel, by the name under which packages/flash-mla/assembly/index.ts exports it. */
  readonly name: string;
  readonly descriptor: Schema<F>;
}

/**
 * Declares a command. The kernel gets a pointer to an object of the class that is named like it, in capitals:
 * `denseDecode(command: DenseDecode)`. Throws `RangeError` where there are too many fields.
 */
export function defineCommand<const F extends Fields>(name: string, fields: F): CommandKind<F> {
  const descriptor = defineRecord(name.charAt(0).toUpperCase() + name.slice(1), fields);
  if (descriptor.byteLength > maxDescriptorBytes) {
    throw new RangeError(
      `${name}: ${descriptor.byteLength} bytes of fields, at most ${maxDescriptorBytes}`,
    );
  }
  return { kind: 'command', name, descriptor };
}
