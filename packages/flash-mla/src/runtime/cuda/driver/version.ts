/** `12.4` for 12040, the driver's way of numbering CUDA versions. */
export function versionText(version: number): string {
  return `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
}
