export type GprKind = 'gpr8' | 'gpr16' | 'gpr32' | 'gpr64';
export type VectorKind = 'xmm' | 'ymm' | 'zmm';
/** What a register holds and how wide it is; `mask` is k0–k7, `tile` is tmm0–tmm7. */
export type RegisterKind = GprKind | VectorKind | 'mask' | 'tile';

/** Registers that share storage: eax is the low half of rax, ymm3 that of zmm3. */
export type RegisterFile = 'gpr' | 'vector' | 'mask' | 'tile';

/** What a register was handed out for, and whether that is over. */
export interface Lease {
  readonly name: string;
  ended: boolean;
}

/** A register of the processor, seen at one width. */
export abstract class Register<out K extends RegisterKind = RegisterKind> {
  readonly kind: K;
  /** Its number in the encoding. */
  readonly number: number;
  /** Set when an allocator handed it out. */
  readonly lease: Lease | undefined;

  constructor(kind: K, number: number, lease?: Lease) {
    this.kind = kind;
    this.number = number;
    this.lease = lease;
  }

  /** Its name in Intel's syntax. */
  abstract get name(): string;

  toString(): string {
    return this.name;
  }
}

/** The storage that a register of this kind is a part of. */
export function fileOf(kind: RegisterKind): RegisterFile {
  if (kind === 'mask' || kind === 'tile') return kind;
  return kind === 'xmm' || kind === 'ymm' || kind === 'zmm' ? 'vector' : 'gpr';
}

/** Bytes of a register of this kind; 0 for masks and tiles, whose size depends on their use. */
export function bytesOf(kind: RegisterKind): number {
  return registerBytes[kind];
}

const registerBytes: Record<RegisterKind, number> = {
  gpr8: 1,
  gpr16: 2,
  gpr32: 4,
  gpr64: 8,
  xmm: 16,
  ymm: 32,
  zmm: 64,
  mask: 0,
  tile: 0,
};
