/**
 * Memory of the host that a device copies from and to. On the processor and in tests it is ordinary
 * memory; for a GPU it is pinned, and the device's runtime allocates it.
 */
export interface HostMemory {
  readonly bytes: Uint8Array;
  /** Gives the memory back. `bytes` must not be used afterwards. */
  dispose(): void;
}

/** @throws whatever says that there is not so much memory. */
export type AllocateHostMemory = (byteLength: number) => HostMemory;

/** Ordinary memory, filled with zeros. */
export const ordinaryMemory: AllocateHostMemory = (byteLength) => ({
  bytes: new Uint8Array(byteLength),
  dispose() {},
});
