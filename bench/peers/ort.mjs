// ONNX Runtime, in WebAssembly (onnxruntime-web) and native (onnxruntime-node).
import { pagedAttention, variants } from './graphs.mjs';
import { importPeer } from './install.mjs';
import { rest, settle } from './timing.mjs';

/** Seconds of running before times count; onnxruntime-web takes about four to settle. */
const settleSeconds = { 'onnxruntime-web': 4, 'onnxruntime-node': 1 };

/** Opens an engine on one variant. Throws where the engine does not know an operation. */
async function openVariant(ort, name, data, variant, threads) {
  const { sizes, scaledQ, table64 } = data;
  const { b, hQ, sK, dQk, page } = sizes;
  const isHalf = variant.dtype === 'f16';
  const cache = isHalf ? data.cacheF16 : data.cacheF32;
  const session = await ort.InferenceSession.create(pagedAttention(variant, sizes, cache), {
    executionProviders: [name === 'onnxruntime-web' ? 'wasm' : 'cpu'],
    graphOptimizationLevel: 'all',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  const feeds = {
    q: new ort.Tensor('float32', scaledQ, [b, hQ, dQk]),
    table: new ort.Tensor('int64', table64, [b, sK / page]),
  };
  if (variant.source === 'feed') {
    const shape = [(b * sK) / page, page, dQk];
    feeds.cache = new ort.Tensor(isHalf ? 'float16' : 'float32', cache, shape);
  }
  let out;
  return {
    variant,
    async run() {
      out = (await session.run(feeds)).out;
    },
    result: async () => out.data,
    close: () => session.release(),
  };
}

/** The engine with its fastest variant, settled, and what each variant took in milliseconds. */
export async function openFastest(name, data, threads) {
  const ort = await importPeer(name);
  if (name === 'onnxruntime-web') ort.env.wasm.numThreads = threads;
  const tried = [];
  for (const variant of variants) {
    const label = `${variant.graph}, ${variant.dtype} ${variant.source}`;
    try {
      const engine = await openVariant(ort, name, data, variant, threads);
      // Long enough to rank them; the best is settled in full below.
      const times = await settle(() => engine.run(), 0.4);
      tried.push({ label, variant, milliseconds: Math.min(...times) });
      await engine.close();
    } catch (error) {
      tried.push({ label, variant, error: String(error.message).split('\n')[0].slice(0, 120) });
    }
    await rest();
  }
  const working = tried.filter(({ milliseconds }) => milliseconds !== undefined);
  if (working.length === 0) throw new Error(`${name} runs no variant: ${tried[0].error}`);
  const best = working.reduce((a, b) => (a.milliseconds <= b.milliseconds ? a : b));
  const engine = await openVariant(ort, name, data, best.variant, threads);
  await settle(() => engine.run(), settleSeconds[name]);
  return {
    ...engine,
    label: best.label,
    tried: tried.map(({ label, milliseconds, error }) => ({ label, milliseconds, error })),
  };
}
