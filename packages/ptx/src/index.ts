/**
 * Write NVIDIA GPU kernels in TypeScript: {@link defineKernel} builds them from typed values,
 * {@link emitPtx} prints them for the driver's compiler, and the simulator runs them on a CPU.
 * @module
 */
export { Body } from './builder/body.ts';
export type { ControlOptions, Loop, Range } from './builder/control.ts';
export {
  defineKernel,
  type Kernel,
  type KernelBuilder,
  type KernelOptions,
  type Ops,
  type ParamValues,
} from './builder/kernel.ts';
export { MatrixDescriptor, type MatrixLayout } from './builder/matrix-descriptor.ts';
export type { Operand } from './builder/operand.ts';
export { type AddressOf, type Index, Pointer } from './builder/pointer.ts';
export { type SharedAccess, SharedArray, type SharedIndex, SharedRow } from './builder/shared.ts';
export type { TensorMap } from './builder/tensor-map.ts';
export { Value, Var } from './builder/value.ts';
export { type EmitOptions, emitPtx } from './emit/emit.ts';
export { type PtxVersion, parseTarget, type Requirement, type Target } from './emit/target.ts';
export {
  DeclarationError,
  KernelBuildError,
  PtxError,
  UnsupportedInstructionError,
} from './errors.ts';
export type { BulkLoadOptions, CtaMask, ReduceType } from './instructions/bulk_copy.ts';
export type { Comparison } from './instructions/compare.ts';
export type { IntegerRounding } from './instructions/convert.ts';
export type { FragmentOf, MatrixElement, MmaType } from './instructions/matrix.ts';
export type { MemoryBarrier, WaitOptions } from './instructions/mbarrier.ts';
export type { Eviction, LoadOptions, Scope, StoreOptions } from './instructions/memory.ts';
export type { Location } from './ir/location.ts';
export type { ParamSlot, Program } from './ir/program.ts';
export { bytesOf, type MemType, type RegOf, type RegType, type Space } from './ir/types.ts';
export {
  type ArrayParam,
  array,
  global,
  type ParamDecls,
  type ParamInputs,
  type PointerParam,
  type ScalarParam,
  type TensorMapParam,
  tensorMap,
} from './layout/params.ts';
export {
  type Field,
  type FieldOptions,
  field,
  type PlacedField,
  type SharedDecls,
  type SharedLayout,
  type Struct,
  sharedLayout,
  struct,
  type Union,
  union,
} from './layout/shared.ts';
export { type Swizzle, swizzleRule } from './layout/swizzle.ts';
export {
  boxBytes,
  checkTensorMap,
  type TensorElement,
  type TensorMapDescription,
  tensorMapBytes,
} from './layout/tensor-map.ts';
export {
  type DecodeOptions,
  e4m3x4ToBf16x2,
  e4m3x4ToF16x2,
  e8m0ToF32,
  f32ToE4m3x2,
} from './library/fp8.ts';
export { packPair, unpackBf16x2, unpackF16x2, unpackPair } from './library/packed.ts';
export { type SegmentWidth, segmentMax, segmentReduce, segmentSum } from './library/reduce.ts';
export type { Counters } from './sim/counters.ts';
export { type FaultPlace, SimulationError } from './sim/faults.ts';
export { Footprint, type Overlap, type Touched } from './sim/footprint.ts';
export type { FaultKind, MatrixSums } from './sim/machine.ts';
export { SimMemory, SimMemoryError, type SimMemoryOptions } from './sim/memory.ts';
export { type SimulateOptions, simulate, simulateInSteps } from './sim/simulate.ts';
export { encodeTensorMap } from './sim/tensor-map.ts';
