/** Kernels without relaxed SIMD, made by assembly/build.mjs. */
export const base64: string;
export const memoryFlags: number;
