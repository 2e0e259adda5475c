import type { Feature } from '../features/feature.ts';
import { distinct, form } from './form.ts';

const product = (prefix: string, opcode: string, feature: Feature) =>
  distinct(form('tmm, tmm, tmm', `VEX.128.${prefix}.0F38.W0 ${opcode} /r RMV`, feature));

/** Tile registers: C += A · B, where B holds its rows in pairs or fours, as the product reads them. */
export const amx = {
  /** Rows and bytes of a row of each tile, from 64 bytes of memory; clears all tiles. */
  ldtilecfg: form('m512', 'VEX.128.NP.0F38.W0 49 /0', 'amx_tile'),
  sttilecfg: form('m512', 'VEX.128.66.0F38.W0 49 /0', 'amx_tile'),
  /** Gives the tiles back: at the end of every kernel that uses them. */
  tilerelease: form('', 'VEX.128.NP.0F38.W0 49 C0', 'amx_tile'),
  tilezero: form('tmm', 'VEX.128.F2.0F38.W0 49 /r R', 'amx_tile'),
  /** Loads rows that lie the index register's bytes apart. */
  tileloadd: form('tmm, mtile', 'VEX.128.F2.0F38.W0 4B /r', 'amx_tile'),
  /** As `tileloadd`, of what will not be used again soon. */
  tileloaddt1: form('tmm, mtile', 'VEX.128.66.0F38.W0 4B /r', 'amx_tile'),
  tilestored: form('mtile, tmm', 'VEX.128.F3.0F38.W0 4B /r', 'amx_tile'),
  tdpbf16ps: product('F3', '5C', 'amx_bf16'),
  tdpfp16ps: product('F2', '5C', 'amx_fp16'),
  tdpbssd: product('F2', '5E', 'amx_int8'),
  tdpbsud: product('F3', '5E', 'amx_int8'),
  tdpbusd: product('66', '5E', 'amx_int8'),
  tdpbuud: product('NP', '5E', 'amx_int8'),
} as const;
