import { copyKernel } from '../kernels/copy/copy.ts';
import { type NativeProblem, Places, seededNumbers } from './problem.ts';

/** Some bytes, copied. */
export function copyProblem(bytes: number): NativeProblem {
  const room = new Places();
  const source = room.takeBytes(bytes);
  const target = room.takeBytes(bytes);
  const memory = new Uint8Array(room.bytes);
  const random = seededNumbers(bytes);
  for (let i = 0; i < bytes; i++) memory[source + i] = Math.floor(256 * (random() + 0.5));
  memory.set(copyKernel.packJob({ target, source, bytes }));
  const differs = (result: Uint8Array, i: number) => result[target + i] !== memory[source + i];
  return {
    ...{ memory, job: 0, tolerance: 1 },
    operands: room.operands(copyKernel.jobLayout, { source, target }),
    errorOf(result) {
      let wrong = 0;
      for (let i = 0; i < bytes; i++) if (differs(result, i)) wrong++;
      return wrong;
    },
  };
}
