/** The script of a worker thread, made by scripts/bundle.mjs of src/runtime/cpu/worker.ts. */
export const script: string;
