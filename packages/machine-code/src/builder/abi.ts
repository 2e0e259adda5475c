/** How functions are called: where arguments arrive, and which registers belong to the caller. */
export interface Abi {
  readonly name: AbiName;
  /** Numbers of the registers that hold the first integer arguments. */
  readonly args: readonly number[];
  /** General-purpose registers that a function gives back as it got them, besides rsp and rbp. */
  readonly preserved: readonly number[];
  /** Vector registers whose low 128 bits it gives back. */
  readonly preservedVectors: readonly number[];
  /** Bytes above the return address of every call that belong to the called function. */
  readonly shadowBytes: number;
}

/** `system-v` is that of Linux and macOS. */
export type AbiName = 'system-v' | 'windows';

const [rcx, rdx, rbx, rsi, rdi] = [1, 2, 3, 6, 7];

export const abis: Readonly<Record<AbiName, Abi>> = {
  'system-v': {
    name: 'system-v',
    args: [rdi, rsi, rdx, rcx, 8, 9],
    preserved: [rbx, 12, 13, 14, 15],
    preservedVectors: [],
    shadowBytes: 0,
  },
  windows: {
    name: 'windows',
    args: [rcx, rdx, 8, 9],
    preserved: [rbx, rdi, rsi, 12, 13, 14, 15],
    preservedVectors: [6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    shadowBytes: 32,
  },
};
