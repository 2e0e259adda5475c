/**
 * What the machine code that copies memory is told. Addresses count from the beginning of the device's memory, so
 * those of memory elsewhere in the process are beyond it or negative.
 */
export const copyJob = {
  target: 'i64',
  source: 'i64',
  bytes: 'u32',
} as const;
