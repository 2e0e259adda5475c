import { type TensorMapDescription, tensorMapBytes } from '@flash-mla/ptx';

/** Addresses whose encoded maps are kept: layers of a model take turns. */
const kept = 256;

/**
 * A function that puts a tensor map into a parameter block. What was encoded is kept by its address as
 * long as shape and options stay, so that a call costs a comparison and a copy of 128 bytes.
 */
export function tensorMapSetter(
  parameters: DataView<ArrayBuffer>,
  offset: number,
  encode: (map: TensorMapDescription) => Uint8Array,
): (map: TensorMapDescription) => void {
  const target = new Uint8Array(parameters.buffer, parameters.byteOffset + offset, tensorMapBytes);
  const encoded = new Map<number, Uint8Array>();
  let shape: TensorMapDescription | undefined;
  return (map) => {
    if (shape === undefined || !sameShape(shape, map)) {
      encoded.clear();
      // A copy: the caller may reuse its arrays.
      shape = structuredClone(map);
    }
    const address = Number(map.address);
    let bytes = encoded.get(address);
    if (bytes === undefined) {
      bytes = encode(map);
      if (encoded.size >= kept) encoded.clear();
      encoded.set(address, bytes);
    }
    target.set(bytes);
  };
}

/** Whether two descriptions differ in nothing but the address. */
function sameShape(a: TensorMapDescription, b: TensorMapDescription): boolean {
  return (
    a.element === b.element &&
    a.swizzle === b.swizzle &&
    a.l2Promotion === b.l2Promotion &&
    a.oobFill === b.oobFill &&
    sameNumbers(a.dims, b.dims) &&
    sameNumbers(a.strides, b.strides) &&
    sameNumbers(a.box, b.box) &&
    sameNumbers(a.elementStrides, b.elementStrides)
  );
}

function sameNumbers(a: readonly number[] | undefined, b: readonly number[] | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
