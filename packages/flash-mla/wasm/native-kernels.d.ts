/** A kernel's machine code, in base64. */
export interface EmbeddedCode {
  readonly base64: string;
  /** Whether it uses the tile registers. */
  readonly tiles: boolean;
}

/** The machine code for processors, by calling convention and kernel, made by scripts/embed-native.mjs. */
export const kernels: Readonly<
  Record<'system-v' | 'windows', Readonly<Record<string, EmbeddedCode>>>
>;
