/** The script of a worker thread, made by scripts/bundle.mjs of src/backends/cpu/worker.ts. */
export const script: string;
