/**
 * The positions of the slider of threads: as many as the machine has, and above them what a link from
 * a larger one asks for, which is what the device is opened with.
 */
export function threadScale(hardwareThreads: number, asked: number): number[] {
  const scale = Array.from({ length: hardwareThreads }, (_, i) => i + 1);
  return asked > hardwareThreads ? [...scale, asked] : scale;
}
