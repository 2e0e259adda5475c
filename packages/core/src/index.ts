/** Ground words of all packages: errors, element types and their conversions, arrays in host memory. */

export * from './convert.ts';
export * from './dtype.ts';
export * from './errors.ts';
export * from './float8.ts';
export * from './float16.ts';
export * from './host-tensor.ts';
export * from './philox.ts';
export * from './shape.ts';
