// The bars of docs/cpu.md: what machine code is to reach, as ratios within one run.

/** Names of the problems in problems.mjs that bars speak of. */
const wide = 'dense decode, b=4 hQ=128 sK=4096';
const narrow = 'dense decode, b=4 hQ=16 sK=4096';
const dense = 'dense decode, b=4 hQ=128 sK=2048';
const sparse = 'sparse decode v32, b=4 hQ=128 topk=2048';
const long = 'dense decode, b=1 hQ=16 sK=65536';
const product = (rows) => `linear, ${rows} × 4096 × 4096, cold`;

/**
 * A report's figures of a problem by name, kind and threads, from median times or from the best ones. Undefined where
 * something was not measured.
 */
function figuresOf({ results, ceilings }, most, isBest) {
  const find = (name, kind, threads = most) => {
    const row = results.find(
      (each) => each.name === name && each.kind === kind && each.threads === threads,
    );
    if (!row || !isBest) return row;
    const faster = row.ms / row.bestMs;
    return { ms: row.bestMs, gbs: row.gbs * faster, gflops: row.gflops * faster };
  };
  return {
    ms: (...which) => find(...which)?.ms,
    gbs: (...which) => find(...which)?.gbs,
    gflops: (...which) => find(...which)?.gflops,
    read: ceilings[most]?.readGBs,
    peak: (kind) => ceilings[most]?.[kind],
  };
}

/** Each bar: its figure of a kind, and the bound of each kind that has one. */
const bars = [
  {
    what: '128 heads, against WebAssembly',
    of: (f, kind) => f.ms(wide, 'wasm') / f.ms(wide, kind),
    atLeast: { amx: 14, avx512: 2.4, avx2: 1.5 },
  },
  {
    what: '16 heads, against WebAssembly',
    of: (f, kind) => f.ms(narrow, 'wasm') / f.ms(narrow, kind),
    atLeast: { amx: 9, avx512: 1.6, avx2: 1.4 },
  },
  {
    what: '128 heads, cold, against warm',
    of: (f, kind) => f.ms(wide, kind) / f.ms(`${wide}, cold`, kind),
    atLeast: { amx: 0.7, avx512: 0.85, avx2: 0.9 },
  },
  {
    what: '16 heads, cold, share of reading',
    of: (f, kind) => f.gbs(`${narrow}, cold`, kind) / f.read,
    atLeast: { amx: 0.55, avx512: 0.5, avx2: 0.45 },
  },
  {
    what: 'sparse decode, time over dense',
    of: (f, kind) => f.ms(sparse, kind) / f.ms(dense, kind),
    atMost: { amx: 1.6, avx512: 1.3 },
  },
  {
    what: 'b=1: two threads against one',
    of: (f, kind) => f.ms(long, kind, 1) / f.ms(long, kind),
    atLeast: { amx: 1.8, avx512: 1.8 },
    threads: 2,
  },
  ...[1, 4, 16].map((rows) => ({
    what: `product of ${rows} rows, share of reading`,
    of: (f, kind) => f.gbs(product(rows), kind) / f.read,
    atLeast: { amx: 0.9, avx512: 0.9, avx2: 0.85 },
  })),
  {
    what: 'product of 512 rows, share of the peak',
    of: (f, kind) => f.gflops(product(512), kind) / f.peak(kind),
    atLeast: { amx: 0.25, avx512: 0.6, avx2: 0.6 },
  },
];

/**
 * What a report says of each bar, of those whose problems and kinds were measured with so many threads: by median
 * times, and by the best ones, which neighbours of the machine disturb less.
 */
export function judge(report, most) {
  const [figures, bests] = [false, true].map((isBest) => figuresOf(report, most, isBest));
  return bars.flatMap(({ what, of, atLeast, atMost, threads = most }) => {
    if (threads !== most) return [];
    return Object.entries(atLeast ?? atMost).flatMap(([kind, bound]) => {
      const value = of(figures, kind);
      if (!Number.isFinite(value)) return [];
      const met = atLeast ? value >= bound : value <= bound;
      return [
        { what, kind, value, best: of(bests, kind), sense: atLeast ? '>=' : '<=', bound, met },
      ];
    });
  });
}

/** One line a bar. */
export const lineOf = ({ what, kind, value, best, sense, bound, met }) =>
  `${what.padEnd(40)} ${kind.padEnd(7)} ${value.toFixed(2).padStart(6)} (best times ${best.toFixed(2)})  ${sense} ${bound}: ${met ? 'met' : 'MISSED'}`;
