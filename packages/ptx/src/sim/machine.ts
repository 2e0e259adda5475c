export interface Site {
  readonly x: never;
}
export type WarpOp = (warp: never, mask: number) => void;
