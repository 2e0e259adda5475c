import type { AbiName } from '@flash-mla/machine-code';

/** A kernel that can be put into memory. */
export interface NativeCode {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Whether it uses the tile registers. */
  readonly tiles: boolean;
}

/** The kernels that the build has made, for a calling convention. */
export async function embeddedCode(abi: AbiName): Promise<(name: string) => NativeCode> {
  const { kernels } = await import('../../../../wasm/native-kernels.js');
  return (name) => {
    const found = kernels[abi][name];
    if (!found) throw new Error(`the build has made no kernel ${name}`);
    return { name, bytes: Buffer.from(found.base64, 'base64'), tiles: found.tiles };
  };
}
