/** The scalars that a kernel takes with each call: one uniform struct, declared once. */

export type Scalar = 'u32' | 'i32' | 'f32';

/** Names and types of parameters; those that are undefined are not there. */
export type ParamFields = Readonly<Record<string, Scalar | undefined>>;

/** Layout of a kernel's uniform parameters, from which both the WGSL and the bytes derive. */
export class Params {
  /** In the order of the struct: field i is word i. */
  readonly #fields: readonly (readonly [name: string, type: Scalar])[];

  constructor(fields: ParamFields) {
    this.#fields = Object.entries(fields).filter(
      (entry): entry is [string, Scalar] => entry[1] !== undefined,
    );
  }

  /** Uniform buffers hold whole 16-byte units. */
  get byteLength(): number {
    return Math.max(16, Math.ceil(this.#fields.length / 4) * 16);
  }

  get wgsl(): string {
    const lines = this.#fields.map(([name, type]) => `  ${name}: ${type},`);
    return `struct Params {\n${lines.join('\n')}\n}\n@group(0) @binding(0) var<uniform> params: Params;\n`;
  }

  offsetOf(name: string): number {
    const index = this.#fields.findIndex(([field]) => field === name);
    if (index < 0) throw new RangeError(`there is no parameter ${name}`);
    return 4 * index;
  }

  /** The bytes of one call. Every field must be given. Part of what a call costs: kept plain. */
  encode(values: Readonly<Record<string, number>>): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.byteLength);
    const words = new Int32Array(bytes.buffer);
    const floats = new Float32Array(bytes.buffer);
    for (let i = 0; i < this.#fields.length; i++) {
      const [name, type] = this.#fields[i] as readonly [string, Scalar];
      const value = values[name] as number;
      if (type === 'f32' && Number.isFinite(value)) floats[i] = value;
      else if (type === 'u32' && value === value >>> 0) words[i] = value;
      else if (type === 'i32' && value === value >> 0) words[i] = value;
      else throw new RangeError(`parameter ${name} is ${value}, not a finite ${type}`);
    }
    return bytes;
  }
}
