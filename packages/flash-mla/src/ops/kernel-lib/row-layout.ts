/** The three row formats of a sparse decode cache. */
export type KvRowLayout = 'v32' | 'model1' | 'bf16';
