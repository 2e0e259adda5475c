import { DeclarationError } from '../errors.ts';
import { bytesOf, type MemType } from '../ir/types.ts';
import { checkSwizzledRow, type Swizzle, type SwizzleRule, swizzleRule } from './swizzle.ts';

/** Options of a {@link field}. */
export interface FieldOptions {
  /** In bytes; at least 16, or what the swizzle needs. */
  readonly align?: number;
  readonly swizzle?: Swizzle;
  /**
   * `rows`: each row is contiguous. `tiles`: columns are cut into tiles as wide as the swizzle
   * (64 bf16 for 128B), and each tile holds all rows, as TMA and wgmma want it.
   */
  readonly arrangement?: 'rows' | 'tiles';
  /** Unused bytes after each row, against bank conflicts where there is no swizzle. */
  readonly padding?: number;
}

/** An array in shared memory, as declared. */
export interface Field<E extends MemType> extends FieldOptions {
  readonly kind: 'field';
  readonly element: E;
  readonly shape: readonly number[];
}

/** Fields that share the same bytes: at any time a kernel uses one of them. */
export interface Union<M extends SharedDecls> {
  readonly kind: 'union';
  readonly members: M;
}

/** A group of fields, one after another. */
export interface Struct<M extends SharedDecls> {
  readonly kind: 'struct';
  readonly members: M;
}

export type SharedDecl = Field<MemType> | Union<SharedDecls> | Struct<SharedDecls>;
/** Declared fields by name. */
export interface SharedDecls {
  readonly [name: string]: SharedDecl;
}

/** Declares an array of `shape` (the last dimension is contiguous). */
export function field<E extends MemType>(
  element: E,
  shape: readonly number[],
  options: FieldOptions = {},
): Field<E> {
  return { kind: 'field', element, shape, ...options };
}

/** Declares members that overlap. */
export function union<const M extends SharedDecls>(members: M): Union<M> {
  return { kind: 'union', members };
}

/** Declares members that follow one another: of use inside a {@link union}. */
export function struct<const M extends SharedDecls>(members: M): Struct<M> {
  return { kind: 'struct', members };
}

/** Where a field came to lie. */
export interface PlacedField {
  readonly kind: 'field';
  /** Path of names, joined by dots. */
  readonly name: string;
  readonly element: MemType;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly bytes: number;
  /** Distance in bytes between neighbours of each dimension but the last. */
  readonly strides: readonly number[];
  readonly swizzle: SwizzleRule | undefined;
  readonly arrangement: 'rows' | 'tiles';
}

/** A group with its members placed. */
export interface PlacedGroup {
  readonly kind: 'group';
  readonly members: Readonly<Record<string, PlacedField | PlacedGroup>>;
}

/** A finished layout: offsets of all fields and the bytes that a launch must request. */
export interface SharedLayout<D extends SharedDecls> {
  readonly decls: D;
  readonly root: PlacedGroup;
  /** Size in bytes. */
  readonly bytes: number;
  /** All fields in the order of declaration, for printing a memory map. */
  readonly fields: readonly PlacedField[];
}

/**
 * Lays out a CTA's shared memory. The same object gives the kernel its addresses and the launch its
 * byte count.
 * @throws DeclarationError for shapes, paddings or swizzles that do not fit together.
 */
export function sharedLayout<const D extends SharedDecls>(decls: D): SharedLayout<D> {
  const fields: PlacedField[] = [];
  const placeAll = (members: SharedDecls, start: number, path: string, overlap: boolean) => {
    const placed: Record<string, PlacedField | PlacedGroup> = {};
    let end = start;
    for (const [name, decl] of Object.entries(members)) {
      const from = overlap ? start : end;
      const full = path === '' ? name : `${path}.${name}`;
      if (decl.kind === 'field') {
        const result = placeField(full, decl, from);
        fields.push(result);
        placed[name] = result;
        end = Math.max(end, result.offset + result.bytes);
      } else {
        const inner = placeAll(decl.members, from, full, decl.kind === 'union');
        placed[name] = { kind: 'group', members: inner.placed };
        end = Math.max(end, inner.end);
      }
    }
    return { placed, end };
  };
  const { placed, end } = placeAll(decls, 0, '', false);
  const bytes = Math.ceil(end / 16) * 16;
  return { decls, root: { kind: 'group', members: placed }, bytes, fields };
}

function placeField(name: string, decl: Field<MemType>, from: number): PlacedField {
  const { element, shape, swizzle, arrangement = 'rows', padding = 0 } = decl;
  if (shape.length === 0 || shape.some((n) => !Number.isInteger(n) || n < 0)) {
    throw new DeclarationError(`shared field "${name}": impossible shape [${shape.join(', ')}]`);
  }
  const rule = swizzle === undefined ? undefined : swizzleRule(swizzle);
  const rowBytes = shape[shape.length - 1] * bytesOf(element);
  if (swizzle !== undefined) {
    if (shape.length < 2)
      throw new DeclarationError(`shared field "${name}": a swizzle needs rows`);
    if (padding !== 0) {
      throw new DeclarationError(`shared field "${name}": choose either padding or a swizzle`);
    }
    checkSwizzledRow(name, swizzle, rowBytes);
  } else if (arrangement === 'tiles') {
    throw new DeclarationError(`shared field "${name}": tiles take their width from a swizzle`);
  }
  const align = Math.max(16, rule?.align ?? 0, decl.align ?? 0);
  if ((align & (align - 1)) !== 0) {
    throw new DeclarationError(`shared field "${name}": alignment ${align} is no power of two`);
  }
  const strides: number[] = [];
  let size = rowBytes + padding;
  for (let i = shape.length - 2; i >= 0; i--) {
    const row = i === shape.length - 2;
    strides[i] = row && arrangement === 'tiles' && rule !== undefined ? rule.width : size;
    size *= shape[i];
  }
  const offset = Math.ceil(from / align) * align;
  return {
    kind: 'field',
    name,
    element,
    shape,
    offset,
    bytes: size,
    strides,
    swizzle: rule,
    arrangement,
  };
}
