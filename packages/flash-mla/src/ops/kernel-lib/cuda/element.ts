/** What the tensor cores multiply. */
export type Element = 'bf16' | 'f16';
