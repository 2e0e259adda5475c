// Paged MLA decoding as ONNX graphs: what a user of ONNX Runtime would write. Which one is fastest
// depends on the engine and the sizes, so the benchmark tries them all and keeps the best.
import { float16, float32, int64, model } from './onnx-model.mjs';

/** Every way to write it: the graph, the cache's dtype, and whether the cache is part of the model. */
export const variants = ['slice-before', 'slice-after', 'attention'].flatMap((graph) =>
  ['f32', 'f16'].flatMap((dtype) =>
    ['feed', 'initializer'].map((source) => ({ graph, dtype, source })),
  ),
);

/**
 * The model of a variant. Inputs: q f32 (b, hQ, dQk) already scaled, table i64 (b, blocks per request)
 * and, as a feed, cache (blocks, page, dQk). Output: out f32 (b, hQ, dV).
 */
export function pagedAttention({ graph, dtype, source }, sizes, cacheBytes) {
  const { b, hQ, sK, dQk, dV, page } = sizes;
  const blocks = (b * sK) / page;
  const type = dtype === 'f16' ? float16 : float32;
  const cache = { name: 'cache', type, shape: [blocks, page, dQk] };
  const constants = [];
  const constant = (name, values) => {
    constants.push({
      name,
      type: int64,
      shape: [values.length],
      bytes: BigInt64Array.from(values),
    });
    return name;
  };
  const nodes = [{ op: 'Gather', inputs: ['cache', 'table'], outputs: ['pages'] }];
  const node = (op, inputs, output, attributes) => {
    nodes.push({ op, inputs, outputs: [output], attributes });
    return output;
  };
  const wide = dtype === 'f16' ? node('Cast', ['pages'], 'wide', { to: float32 }) : 'pages';
  const big = (values) => values.map(BigInt);
  const valueColumns = (rows, axis) =>
    node(
      'Slice',
      [
        rows,
        constant('from', [0n]),
        constant('to', [BigInt(dV)]),
        constant('axis', [BigInt(axis)]),
      ],
      rows === 'weighted' ? 'out' : 'v',
    );
  if (graph === 'attention') {
    // All heads share one key: they stand where a sequence of queries would.
    const kv = node('Reshape', [wide, constant('kvShape', big([b, 1, sK, dQk]))], 'kv');
    const q = node('Reshape', ['q', constant('qShape', big([b, 1, hQ, dQk]))], 'q4');
    const y = node('Attention', [q, kv, valueColumns(kv, 3)], 'y', { scale: { float: 1 } });
    node('Reshape', [y, constant('outShape', big([b, hQ, dV]))], 'out');
  } else {
    const kv = node('Reshape', [wide, constant('kvShape', big([b, sK, dQk]))], 'kv');
    const kt = transpose(nodes, kv);
    const p = node('Softmax', [node('MatMul', ['q', kt], 'scores')], 'p', { axis: 2 });
    if (graph === 'slice-before') node('MatMul', [p, valueColumns(kv, 2)], 'out');
    else valueColumns(node('MatMul', [p, kv], 'weighted'), 2);
  }
  const isFeed = source === 'feed';
  return model({
    nodes,
    inputs: [
      { name: 'q', type: float32, shape: [b, hQ, dQk] },
      { name: 'table', type: int64, shape: [b, sK / page] },
      ...(isFeed ? [cache] : []),
    ],
    outputs: [{ name: 'out', type: float32, shape: [b, hQ, dV] }],
    initializers: [...constants, ...(isFeed ? [] : [{ ...cache, bytes: cacheBytes }])],
  });
}

function transpose(nodes, name) {
  nodes.push({ op: 'Transpose', inputs: [name], outputs: ['kt'], attributes: { perm: [0, 2, 1] } });
  return 'kt';
}
