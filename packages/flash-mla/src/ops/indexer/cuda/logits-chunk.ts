/** How the columns of some rows are cut. */
export interface LogitsWork {
  /** Rows, or groups of rows, that a CTA computes together. */
  readonly groups: number;
  readonly columns: number;
  /** CTAs that run at a time. */
  readonly slots: number;
  /** Chunks are multiples of this, … */
  readonly unit: number;
  /** … and no less than that. */
  readonly least: number;
}

/** Columns that a CTA computes, so that all SMs have work and few start twice. */
export function chunkOf({ groups, columns, slots, unit, least }: LogitsWork): number {
  const chunks = Math.max(1, Math.floor(slots / groups));
  return Math.max(least, Math.ceil(columns / chunks / unit) * unit);
}
