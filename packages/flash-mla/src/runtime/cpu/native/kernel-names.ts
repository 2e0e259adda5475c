import { rowsAmxTokens, rowsBf16Tokens } from './kernels/features.ts';
import type { NativeKind, Selection } from './selection.ts';

/** The kernels that a device runs with, by name. */
export interface KernelNames {
  readonly attend: string;
  readonly dots: string;
  /** Products with weights of e4m3. */
  readonly scaledDots: string;
  /** Rows of bf16 to packed rows, and back. */
  readonly pack: string;
  readonly dequantize: string;
  readonly norm: string;
  /** For bf16 tokens in place, and how many it takes at once. */
  readonly rows: { readonly name: string; readonly tokens: number } | undefined;
  readonly copy: string;
  /** Packed rows to bf16, for `rows`. */
  readonly unpack: string | undefined;
  /** Products of rows of bf16 by tiles. */
  readonly products: string | undefined;
}

/** What was selected, by name. */
export function kernelNames({
  kind,
  bf16Products,
}: Pick<Selection, 'bf16Products'> & { readonly kind: NativeKind }): KernelNames {
  const vectors = kind === 'avx2' ? 'avx2' : 'avx512';
  const rows =
    kind === 'amx'
      ? { name: 'rows_amx', tokens: rowsAmxTokens }
      : { name: 'rows_bf16', tokens: rowsBf16Tokens };
  return {
    attend: `attend_${vectors}`,
    dots: `dots_${vectors}`,
    scaledDots: `scaled_dots_${vectors}`,
    pack: `pack_${vectors}`,
    dequantize: `dequantize_${vectors}`,
    norm: `norm_${vectors}`,
    copy: 'copy_avx2',
    unpack: bf16Products ? 'unpack_avx512' : undefined,
    rows: bf16Products ? rows : undefined,
    products: kind === 'amx' ? 'products_amx' : undefined,
  };
}

/** All of them. */
export const namesOf = ({ rows, ...names }: KernelNames): readonly string[] =>
  [...Object.values<string | undefined>(names), rows?.name].filter((name) => name !== undefined);
