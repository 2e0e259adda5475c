/** A number with about three significant digits and no exponent: `0.12`, `7.35`, `118`, `20412`. */
export function significant(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
  const size = Math.abs(value);
  if (size >= 100 || value === 0) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  if (size >= 0.01) return value.toFixed(2);
  return value.toPrecision(2);
}

/** An error such as 3.1e-4; 0 where nothing differs. */
export function scientific(value: number): string {
  return value === 0 ? '0' : value.toExponential(1);
}

/** `1.5 GiB`, `64 MiB`, `512 B`. */
export function byteSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : Number(value.toFixed(1))} ${units[unit]}`;
}

/** `63 %`. */
export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
