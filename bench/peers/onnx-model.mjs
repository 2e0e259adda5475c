// A minimal writer of ONNX files: just the protobuf fields that the graphs of this benchmark need.
// Field numbers are those of onnx.proto3.

export const float32 = 1;
export const float16 = 10;
export const int64 = 7;

/** A model of one graph at opset 23. Values are {name, type, shape}; initializers also have `bytes`. */
export function model({ nodes, inputs, outputs, initializers }) {
  const graph = message([
    ...nodes.map((node) => bytes(1, encodeNode(node))),
    text(2, 'peer'),
    ...initializers.map((tensor) => bytes(5, encodeTensor(tensor))),
    ...inputs.map((value) => bytes(11, encodeValue(value))),
    ...outputs.map((value) => bytes(12, encodeValue(value))),
  ]);
  const opset = message([text(1, ''), number(2, 23)]);
  return message([number(1, 11), text(2, 'flash-mla'), bytes(7, graph), bytes(8, opset)]);
}

function encodeNode({ op, inputs, outputs, attributes = {} }) {
  const encoded = Object.entries(attributes).map(([name, value]) =>
    message([text(1, name), ...encodeAttribute(value)]),
  );
  return message([
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(3, outputs[0]),
    text(4, op),
    ...encoded.map((attribute) => bytes(5, attribute)),
  ]);
}

/** A whole number, an array of them, or {float}. */
function encodeAttribute(value) {
  if (Array.isArray(value)) return [...value.map((n) => number(8, n)), number(20, 7)];
  if (typeof value === 'object') return [float(2, value.float), number(20, 1)];
  return [number(3, value), number(20, 2)];
}

function encodeTensor({ name, type, shape, bytes: data }) {
  return message([
    ...shape.map((n) => number(1, n)),
    number(2, type),
    text(8, name),
    bytes(9, data),
  ]);
}

function encodeValue({ name, type, shape }) {
  const dimensions = message(shape.map((n) => bytes(1, number(1, n))));
  const tensorType = message([number(1, type), bytes(2, dimensions)]);
  return message([text(1, name), bytes(2, bytes(1, tensorType))]);
}

function message(parts) {
  return Buffer.concat(parts);
}

function varint(value) {
  const out = [];
  let rest = BigInt(value);
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
  return Buffer.from(out);
}

function number(field, value) {
  return Buffer.concat([varint(field << 3), varint(value)]);
}

function float(field, value) {
  const data = Buffer.alloc(4);
  data.writeFloatLE(value);
  return Buffer.concat([varint((field << 3) | 5), data]);
}

function bytes(field, data) {
  const view = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.concat([varint((field << 3) | 2), varint(view.length), view]);
}

function text(field, value) {
  return bytes(field, Buffer.from(value));
}
