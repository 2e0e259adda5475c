import { significant } from '../../ops/bench/numbers.ts';
import { type BenchResult, type BenchRow, teraflops } from './result.ts';
import { describeProblem } from './table.ts';

const plot = { left: 76, top: 56, width: 560, height: 420 } as const;
const legend = { left: plot.left + plot.width + 32, line: 19, character: 7 } as const;

/** Colours that read on white and on black; the picture has no background of its own. */
const style = `
  text { font: 12px system-ui, sans-serif; fill: #57606a }
  .title { font-size: 16px; font-weight: 600 }
  .grid { stroke: #8c959f; stroke-opacity: .25 }
  .roof { stroke: #8c959f; stroke-width: 2; fill: none }
  .dash { stroke-dasharray: 6 5 }
  .point { fill: #2f81f7 }
  .cold { fill: none; stroke: #2f81f7; stroke-width: 2 }
  .number { font-weight: 600; fill: #2f81f7 }
  @media (prefers-color-scheme: dark) { text { fill: #b1bac4 } .number { fill: #58a6ff } }`;

/**
 * A roofline of what was measured: arithmetic intensity against rate, both logarithmic, under the
 * ceilings of the device where they are known. Rows without floating-point work are left out.
 */
export function rooflineSvg({ rows, ceilings, device, date }: BenchResult): string {
  const shown = rows.filter(({ flops }) => flops > 0);
  const points = shown.map((row) => ({ x: row.flops / row.bytes, y: teraflops(row) * 1e12, row }));
  const { flopsPerSecond: roof, readBytesPerSecond: read, copyBytesPerSecond: copy } = ceilings;
  const ridge = roof !== undefined && read !== undefined ? [roof / read] : [];
  const xs = logScale([...points.map(({ x }) => x), ...ridge], plot.left, plot.width);
  const ys = logScale(
    [...points.map(({ y }) => y), ...(roof === undefined ? [] : [roof])],
    plot.top + plot.height,
    -plot.height,
  );
  const height = Math.max(plot.top + plot.height + 56, plot.top + 24 + shown.length * legend.line);
  const longest = Math.max(0, ...shown.map((row) => legendWords(row).length));
  const width = Math.ceil(legend.left + 26 + longest * legend.character + 16);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<style>${style}\n</style>`,
    text(plot.left, 28, `Roofline of ${device.name}, ${date.slice(0, 10)}`, 'class="title"'),
    ...grid(xs, ys),
    ...roofs(xs, ys, roof, read, copy),
    ...marks(points.map(({ x, y, row }) => ({ x: xs.at(x), y: ys.at(y), row }))),
    ...shown.map((row, i) => legendLine(row, i)),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

interface LogScale {
  readonly low: number;
  readonly high: number;
  at(value: number): number;
}

/** Whole decades around the values, at least one. */
function logScale(values: readonly number[], begin: number, length: number): LogScale {
  const positive = values.filter((value) => value > 0 && Number.isFinite(value));
  const low = Math.floor(Math.log10(Math.min(...(positive.length > 0 ? positive : [1]))) - 0.05);
  const top = Math.ceil(Math.log10(Math.max(...(positive.length > 0 ? positive : [10]))) + 0.05);
  const high = Math.max(top, low + 1);
  const at = (value: number) => begin + (length * (Math.log10(value) - low)) / (high - low);
  return { low: 10 ** low, high: 10 ** high, at };
}

function grid(xs: LogScale, ys: LogScale): string[] {
  const bottom = plot.top + plot.height;
  const right = plot.left + plot.width;
  const out: string[] = [];
  for (const value of ticks(xs)) {
    const x = round(xs.at(value));
    out.push(`<path class="grid" d="M${x} ${plot.top}V${bottom}"/>`);
    if (isLabelled(value))
      out.push(text(x, bottom + 18, significantShort(value), 'text-anchor="middle"'));
  }
  for (const value of ticks(ys)) {
    const y = round(ys.at(value));
    out.push(`<path class="grid" d="M${plot.left} ${y}H${right}"/>`);
    if (isLabelled(value)) {
      out.push(text(plot.left - 8, y + 4, rate(value), 'text-anchor="end"'));
    }
  }
  const middle = plot.left + plot.width / 2;
  out.push(text(middle, bottom + 40, 'FLOP per byte moved', 'text-anchor="middle"'));
  out.push(text(plot.left - 8, plot.top - 12, 'FLOP/s', 'text-anchor="end"'));
  return out;
}

/** 1, 2, 5 of every decade. */
function ticks({ low, high }: LogScale): number[] {
  const out: number[] = [];
  for (let decade = low; decade < high * 1.001; decade *= 10) {
    for (const step of [1, 2, 5]) {
      if (decade * step <= high * 1.001) out.push(decade * step);
    }
  }
  return out;
}

function isLabelled(value: number): boolean {
  const lead = value / 10 ** Math.floor(Math.log10(value) + 1e-9);
  return Math.abs(lead - 1) < 1e-6 || Math.abs(lead - 2) < 1e-6 || Math.abs(lead - 5) < 1e-6;
}

function roofs(
  xs: LogScale,
  ys: LogScale,
  roof: number | undefined,
  read: number | undefined,
  copy: number | undefined,
): string[] {
  const out: string[] = [];
  const right = plot.left + plot.width;
  const slope = (bandwidth: number, dashed: boolean, above: boolean, label: string) => {
    const from = Math.max(xs.low, ys.low / bandwidth);
    const to = Math.min(xs.high, (roof ?? ys.high) / bandwidth);
    if (to <= from) return;
    const ends = `M${point(xs.at(from), ys.at(from * bandwidth))}L${point(xs.at(to), ys.at(to * bandwidth))}`;
    out.push(`<path class="roof${dashed ? ' dash' : ''}" d="${ends}"/>`);
    // The label runs along the line, the faster memory's above it and the slower one's below.
    const dx = xs.at(to) - xs.at(from);
    const dy = ys.at(to * bandwidth) - ys.at(from * bandwidth);
    const angle = (Math.atan2(dy, dx) * 180) / Math.PI;
    const x = xs.at(from) + 0.3 * dx;
    const y = ys.at(from * bandwidth) + 0.3 * dy;
    const turn = `transform="rotate(${round(angle)} ${point(x, y)}) translate(0 ${above ? -6 : 16})"`;
    out.push(text(x, y, `${label} ${significant(bandwidth / 1e9)} GB/s`, turn));
  };
  const copyIsFaster = (copy ?? 0) > (read ?? 0);
  if (read !== undefined) slope(read, false, !copyIsFaster, 'read');
  if (copy !== undefined) slope(copy, true, copyIsFaster, 'copy');
  if (roof !== undefined) {
    const from = Math.max(plot.left, read === undefined ? plot.left : xs.at(roof / read));
    const y = ys.at(roof);
    out.push(`<path class="roof" d="M${point(from, y)}H${right}"/>`);
    out.push(text(right - 4, y - 6, `FMA rate ${rate(roof)}FLOP/s`, 'text-anchor="end"'));
  }
  return out;
}

/** Points with their numbers, each put where it hides no other. */
function marks(points: readonly { x: number; y: number; row: BenchRow }[]): string[] {
  const taken: { x: number; y: number }[] = points.map(({ x, y }) => ({ x, y }));
  const places = [
    [11, -8],
    [11, 14],
    [-11, -8],
    [-11, 14],
    [0, -14],
    [0, 22],
    [24, 3],
    [-24, 3],
    [20, -22],
    [-20, -22],
    [20, 28],
    [-20, 28],
  ] as const;
  return points.flatMap(({ x, y, row }, i) => {
    const free = ([dx, dy]: readonly [number, number]) =>
      taken.every((other) => Math.hypot(other.x - x - dx, other.y - y - dy + 4) > 13);
    const [dx, dy] = places.find(free) ?? places[0];
    taken.push({ x: x + dx, y: y + dy - 4 });
    return [
      `<circle class="point${row.cold ? ' cold' : ''}" cx="${round(x)}" cy="${round(y)}" r="5"/>`,
      text(x + dx, y + dy, String(i + 1), 'class="number" text-anchor="middle"'),
    ];
  });
}

function legendLine(row: BenchRow, index: number): string {
  const y = plot.top + 12 + index * legend.line;
  return [
    text(legend.left + 18, y, String(index + 1), 'class="number" text-anchor="end"'),
    text(legend.left + 26, y, legendWords(row)),
  ].join('\n');
}

function legendWords(row: BenchRow): string {
  const figure = `${rate(teraflops(row) * 1e12)}FLOP/s`;
  return `${figure} · ${row.row.op} ${describeProblem(row.row)}${row.cold ? ' cold' : ''}`;
}

/** `130 G`, `1.2 T`. */
function rate(value: number): string {
  for (const [unit, scale] of [
    ['P', 1e15],
    ['T', 1e12],
    ['G', 1e9],
    ['M', 1e6],
  ] as const) {
    if (value >= scale * 0.9999) return `${significantShort(value / scale)} ${unit}`;
  }
  return `${significantShort(value)} `;
}

function significantShort(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function text(x: number, y: number, words: string, attributes = ''): string {
  const safe = words.replace(/&/g, '&amp;').replace(/</g, '&lt;');
  return `<text x="${round(x)}" y="${round(y)}"${attributes ? ` ${attributes}` : ''}>${safe}</text>`;
}

const point = (x: number, y: number): string => `${round(x)} ${round(y)}`;
const round = (value: number): number => Math.round(value * 10) / 10;
