import { describe, expect, it } from 'vitest';
import { kernel } from './kernel.ts';
import { Params } from './params.ts';
import { format } from './text.ts';

describe('Params', () => {
  const params = new Params({ count: 'u32', scale: 'f32', first: 'i32', absent: undefined });

  it('declares what it encodes', () => {
    expect(params.wgsl).toContain('count: u32,\n  scale: f32,\n  first: i32,\n}');
    const bytes = params.encode({ count: 2 ** 32 - 1, scale: 0.5, first: -3 });
    const view = new DataView(bytes.buffer);
    expect(view.getUint32(0, true)).toBe(2 ** 32 - 1);
    expect(view.getFloat32(params.offsetOf('scale'), true)).toBe(0.5);
    expect(view.getInt32(8, true)).toBe(-3);
    expect(bytes.byteLength % 16).toBe(0);
  });

  it.each([
    [{ count: 1.5, scale: 1, first: 0 }, /count is 1.5, not a finite u32/],
    [{ count: -1, scale: 1, first: 0 }, /count/],
    [{ count: 2 ** 32, scale: 1, first: 0 }, /count/],
    [{ count: 0, scale: Number.NaN, first: 0 }, /scale/],
    [{ count: 0, scale: 1, first: 2 ** 31 }, /first/],
    [{ count: 0, scale: 1 }, /first is undefined/],
  ])('refuses %j', (values, message) => {
    expect(() => params.encode(values as Record<string, number>)).toThrow(message);
  });
});

describe('kernel', () => {
  it('is readable text with its bindings in order', () => {
    const source = kernel(
      'double',
      new Params({ count: 'u32' }),
      [
        { name: 'source', access: 'read', element: 'f32' },
        { name: 'result', access: 'read_write', element: 'f32' },
      ],
      `@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
if (id.x >= params.count) { return; }

result[id.x] = 2.0 * source[id.x];
}`,
      ['subgroups'],
    );
    expect(source.wgsl).toMatchInlineSnapshot(`
      "enable subgroups;
      struct Params {
        count: u32,
      }
      @group(0) @binding(0) var<uniform> params: Params;
      @group(0) @binding(1) var<storage, read> source: array<f32>;
      @group(0) @binding(2) var<storage, read_write> result: array<f32>;
      @compute @workgroup_size(64)
      fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        if (id.x >= params.count) { return; }
        result[id.x] = 2.0 * source[id.x];
      }
      "
    `);
  });

  it('is indented by what is open', () => {
    expect(format('a(\nb {\nc\n}\n);\nd')).toBe('a(\n  b {\n    c\n  }\n);\nd\n');
  });
});
