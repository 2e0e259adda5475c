/** What the operations of the KV cache mean, in float64, and how its packed rows are read. */

export * from './append.ts';
export * from './packed-rows.ts';
export * from './quantize.ts';
