/** Numbers for people. */

const prefixes = ['', 'k', 'M', 'G', 'T', 'P'];

/** Three significant digits and a decimal prefix: `12.3 G`. */
export function si(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value === 0) return '0 ';
  const power = Math.max(0, Math.min(prefixes.length - 1, Math.floor(Math.log10(value) / 3)));
  return `${digits(value / 1000 ** power)} ${prefixes[power]}`;
}

/** {@link si} in two parts, the prefix with its unit: `12.3` and `GFLOP/s`. */
export function rate(perSecond: number, unit: string): { value: string; unit: string } {
  const [value = '', prefix = ''] = si(perSecond).split(' ');
  return { value, unit: `${prefix}${unit}` };
}

/** Three significant digits without exponent. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const text = value.toPrecision(3);
  return text.includes('e') ? String(Math.round(value)) : text;
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  const power = Math.min(3, Math.floor(Math.log2(count) / 10));
  return `${digits(count / 1024 ** power)} ${['B', 'KiB', 'MiB', 'GiB'][power]}`;
}

export function milliseconds(ms: number): string {
  if (ms >= 1000) return `${digits(ms / 1000)} s`;
  return ms >= 1 ? `${digits(ms)} ms` : `${digits(ms * 1000)} µs`;
}

/** `3.1e-4`, as tolerances are written. */
export function scientific(value: number): string {
  if (value === 0) return '0';
  return Number.isFinite(value) ? value.toExponential(1) : '∞';
}

export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}

/** A share as whole percent: `40 %`. */
export function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
