// One set of inputs for all engines: bf16 values, which float32 and (in this range) float16 hold too.

const page = 64;

/** Random normals rounded to bf16: q scaled by 1/√dQk for the peers, pages in random order. */
export function makeData({ b, hQ, sK, dQk, dV }) {
  const random = generator(0x5eed);
  const blocks = (b * sK) / page;
  const q = bf16Normals(b * hQ * dQk, random);
  const cache = bf16Normals(blocks * page * dQk, random);
  const order = shuffled(blocks, random);
  const scale = dQk ** -0.5;
  return {
    sizes: { b, hQ, sK, dQk, dV, page },
    q,
    cache,
    cacheF32: widen(cache),
    cacheF16: toFloat16(cache),
    table: Int32Array.from(order),
    scaledQ: widen(q).map((value) => value * scale),
    table64: BigInt64Array.from(order, BigInt),
    flops: 2 * b * hQ * sK * (dQk + dV),
  };
}

/** bf16 codes → the float32 values that they are. */
export function widen(codes) {
  const words = new Uint32Array(codes.length);
  for (let i = 0; i < codes.length; i++) words[i] = codes[i] << 16;
  return new Float32Array(words.buffer);
}

/** bf16 codes → float16 codes; values below 2^-14 lose bits, which no comparison here can see. */
function toFloat16(codes) {
  const wide = widen(codes);
  const halves = new Uint16Array(codes.length);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    const sign = code & 0x8000;
    const exponent = ((code >> 7) & 0xff) - 127;
    if (exponent < -14) halves[i] = sign | Math.round(Math.abs(wide[i]) * 2 ** 24);
    else halves[i] = sign | ((exponent + 15) << 10) | ((code & 0x7f) << 3);
  }
  return halves;
}

function bf16Normals(count, random) {
  const values = new Float32Array(count + 1);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    values[i] = radius * Math.cos(angle);
    values[i + 1] = radius * Math.sin(angle);
  }
  // Truncation is as good as rounding: the result is what all engines get.
  const words = new Uint32Array(values.buffer);
  const codes = new Uint16Array(count);
  for (let i = 0; i < count; i++) codes[i] = words[i] >>> 16;
  return codes;
}

function shuffled(count, random) {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** mulberry32. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
