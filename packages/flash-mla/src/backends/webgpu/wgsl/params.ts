/** The scalars that a kernel takes with each call: one uniform struct, declared once. */

export type Scalar = 'u32' | 'i32' | 'f32';

/** Names and types of parameters; those that are undefined are not there. */
export type ParamFields = Readonly<Record<string, Scalar | undefined>>;

/** Layout of a kernel's uniform parameters, from which both the WGSL and the bytes derive. */
export class Params {
  readonly #fields: ReadonlyMap<string, { readonly type: Scalar; readonly offset: number }>;

  constructor(fields: ParamFields) {
    const entries = Object.entries(fields).filter(
      (entry): entry is [string, Scalar] => entry[1] !== undefined,
    );
    this.#fields = new Map(entries.map(([name, type], i) => [name, { type, offset: 4 * i }]));
  }

  /** Uniform buffers hold whole 16-byte units. */
  get byteLength(): number {
    return Math.max(16, Math.ceil(this.#fields.size / 4) * 16);
  }

  get wgsl(): string {
    const lines = [...this.#fields].map(([name, { type }]) => `  ${name}: ${type},`);
    return `struct Params {\n${lines.join('\n')}\n}\n@group(0) @binding(0) var<uniform> params: Params;\n`;
  }

  offsetOf(name: string): number {
    return this.#field(name).offset;
  }

  /** The bytes of one call. Every field must be given. */
  encode(values: Readonly<Record<string, number>>): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.byteLength);
    const view = new DataView(bytes.buffer);
    for (const [name, { type, offset }] of this.#fields) {
      const value = values[name];
      if (type === 'f32' && Number.isFinite(value)) view.setFloat32(offset, Number(value), true);
      else if (type === 'i32' && value === Number(value) >> 0) view.setInt32(offset, value, true);
      else if (type === 'u32' && value === Number(value) >>> 0) view.setUint32(offset, value, true);
      else throw new RangeError(`parameter ${name} is ${value}, not a finite ${type}`);
    }
    return bytes;
  }

  #field(name: string): { readonly type: Scalar; readonly offset: number } {
    const field = this.#fields.get(name);
    if (field === undefined) throw new RangeError(`there is no parameter ${name}`);
    return field;
  }
}
