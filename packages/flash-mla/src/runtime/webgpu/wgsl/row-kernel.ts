/** Kernels that compute the elements of rows one by one: a workgroup takes a row. */

import { type KernelSource, kernel, type StorageBinding } from './kernel.ts';
import { encode16 } from './numbers.ts';
import { type ParamFields, Params } from './params.ts';
import { type RowDType, rowReader, rowWriter } from './rows.ts';
import { join } from './text.ts';

export const rowWorkgroup = 64;

/** What a kernel of rows computes. */
export interface RowKernel {
  readonly name: string;
  /**
   * Parameters beside `rows`, `columns`, `outStart` and `outStride`. Starts and strides count elements.
   */
  readonly params: ParamFields;
  /** Rows that are read, by binding; each has a function `readName(element)`. */
  readonly reads: Readonly<Record<string, RowDType>>;
  /** Further bindings. */
  readonly storage?: readonly StorageBinding[];
  readonly out: RowDType;
  /** Rows that are written have whole words; else words are changed by halves, atomically. */
  readonly wholeWords: boolean;
  /** Whether the old values of the rows are read, by `readOut(element)`. */
  readonly readsOut?: boolean;
  /** Statements of a row, before its elements. */
  readonly setup?: string;
  /** The value of a column. `row` and `outRow`, where the row begins, are known. */
  value(column: string): string;
}

export function rowKernel(options: RowKernel): KernelSource {
  const { name, params, reads, storage = [], out, wholeWords, readsOut = false, setup } = options;
  const step = wholeWords ? 2 : 1;
  const { value } = options;
  const values = wholeWords ? `vec2(${value('column')}, ${value('column + 1u')})` : value('column');
  return kernel(
    name,
    new Params({ rows: 'u32', columns: 'u32', outStart: 'u32', outStride: 'u32', ...params }),
    [
      ...Object.keys(reads).map(
        (binding): StorageBinding => ({ name: binding, access: 'read', element: 'u32' }),
      ),
      ...storage,
      { name: 'out', access: 'read_write', element: wholeWords ? 'u32' : 'atomic<u32>' },
    ],
    join(
      encode16,
      ...Object.entries(reads).map(([binding, dtype]) => rowReader(binding, dtype)),
      readsOut && rowReader('out', out, !wholeWords),
      rowWriter('out', out, !wholeWords),
      `@compute @workgroup_size(${rowWorkgroup})
       fn main(
         @builtin(workgroup_id) workgroup: vec3<u32>,
         @builtin(num_workgroups) workgroups: vec3<u32>,
         @builtin(local_invocation_index) thread: u32,
       ) {
         let row = workgroup.x + workgroup.y * workgroups.x;
         if (row >= params.rows) { return; }
         let outRow = params.outStart + row * params.outStride;
         ${setup ?? ''}
         for (var column = thread * ${step}u; column < params.columns; column += ${step * rowWorkgroup}u) {
           writeOut${wholeWords ? 'Pair' : ''}(outRow + column, ${values});
         }
       }`,
    ),
  );
}
