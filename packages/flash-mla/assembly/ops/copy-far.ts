/** Copies between memory of the device and memory elsewhere in the process, by machine code. */

import { CopyFar } from '../generated/commands';
import { CopyJob } from '../generated/native';

/** Bytes of a job. */
export const COPY_JOB_BYTES: usize = 64;

/** Bytes that one item copies. */
const CHUNK: usize = 1 << 18;

/** Runs the machine code on the job at this address. */
@external("env", "copyNative")
declare function copyNative(job: usize): void;

export function copyFar(command: CopyFar): void {
  const job = command.scratch(COPY_JOB_BYTES);
  const bytes = command.bytes;
  const items = <i32>((bytes + CHUNK - 1) / CHUNK);
  for (let item = command.takeItem(); item < items; item = command.takeItem()) {
    const from = <usize>item * CHUNK;
    copyBytesFar(job, command.target + <i64>from, command.source + <i64>from, min(CHUNK, bytes - from));
  }
}

/** Copies at once; `at`: where the job may be written. */
export function copyBytesFar(at: usize, target: i64, source: i64, bytes: usize): void {
  const job = changetype<CopyJob>(at);
  job.target = target;
  job.source = source;
  job.bytes = bytes;
  copyNative(at);
}
