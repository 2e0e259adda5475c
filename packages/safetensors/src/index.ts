/** safetensors files: read by range, written as a stream, checked to the last byte. */

export { openFile, writeFileChunks } from '#files';
export type { OpenFile } from './files/open-file.ts';
export type { TensorEntry } from './header.ts';
export { openSafetensors, SafetensorsFile, type TensorReader } from './safetensors-file.ts';
export type { FileInput } from './source.ts';
export {
  encodeSafetensors,
  safetensorsChunks,
  type WritableTensor,
  writeSafetensors,
} from './write.ts';
