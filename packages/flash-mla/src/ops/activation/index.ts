/** Element by element: SwiGLU and sums of rows. */

export { type AddScaledOptions, addScaled } from './add-scaled.ts';
export { type ElementDType, type SwiGluOptions, swiGlu } from './swi-glu.ts';
