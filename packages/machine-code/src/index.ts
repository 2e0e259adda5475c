/**
 * Write kernels for x86-64 processors in TypeScript: {@link defineKernel} builds them from
 * instructions on named registers, {@link listing} shows them, {@link assemble} is for code without
 * a frame.
 * @module
 */
export { type Assembler, assemble } from './assembler/assemble.ts';
export type { ConstantOps } from './assembler/constant_ops.ts';
export type { Line, Program } from './assembler/program.ts';
export type { AbiName } from './builder/abi.ts';
export type { Condition, Relation } from './builder/condition.ts';
export type { LoopOptions, Range } from './builder/control.ts';
export type {
  FieldType,
  JobDeclaration,
  JobField,
  JobFields,
  JobLayout,
  JobValues,
} from './builder/job.ts';
export {
  defineKernel,
  type Kernel,
  type KernelBuilder,
  type KernelInputs,
  type KernelOptions,
} from './builder/kernel.ts';
export type { Source } from './builder/set.ts';
export type { TileShape } from './builder/tiles.ts';
export type { Stream } from './builder/weave.ts';
export {
  FeatureError,
  KernelError,
  LabelError,
  MachineCodeError,
  OperandError,
  type Problem,
  RegisterError,
} from './errors.ts';
export { detectFeatures } from './features/detect.ts';
export { type Feature, withImplied } from './features/feature.ts';
export { featureWords, readFeatures } from './features/read.ts';
export type { Instructions, Mnemonic } from './instructions/table.ts';
export {
  loadBf16,
  loadE4m3Ymm,
  loadE4m3Zmm,
  loadF16,
  roundToBf16,
  storeBf16,
  storeE4m3,
} from './library/convert.ts';
export { exp2Coefficients, exp2Ymm, exp2Zmm } from './library/exp2.ts';
export { maxOfLanes, sumOfLanes } from './library/reduce.ts';
export { transpose16 } from './library/transpose.ts';
export { listing } from './listing/listing.ts';
export type { Label } from './operands/label.ts';
export type { MaskedMemory, MaskedRegister } from './operands/masked.ts';
export { type Broadcast, Memory, type Scale, type ScaledIndex } from './operands/memory.ts';
export type { Operand } from './operands/operand.ts';
export type { Gpr8, Gpr16, Gpr32 } from './registers/gpr.ts';
export { Gpr64 } from './registers/gpr.ts';
export { Mask } from './registers/mask.ts';
export * from './registers/names.ts';
export type { Register, RegisterKind } from './registers/register.ts';
export { Tile } from './registers/tile.ts';
export type { VectorRegister, Xmm, Ymm, Zmm } from './registers/vector.ts';
