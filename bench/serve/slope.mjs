/**
 * Whether a series rises: least squares over what a garbage collector cannot explain. Memory rises until a collection
 * and falls again, so only the lowest value of each stretch of time counts.
 *
 * @param points pairs of seconds and a value, in order
 * @param stretches into how many equal parts the time is cut
 */
export function slopeOf(points, stretches = 20) {
  const [first, last] = [points[0]?.[0] ?? 0, points.at(-1)?.[0] ?? 0];
  const length = (last - first) / stretches;
  const lows = [];
  for (const [at, value] of points) {
    const i = Math.min(stretches - 1, Math.floor((at - first) / length));
    if (lows[i] === undefined || value < lows[i][1]) lows[i] = [at, value];
  }
  const kept = lows.filter((low) => low !== undefined);
  const mean = (of) => kept.reduce((sum, low) => sum + of(low), 0) / kept.length;
  const [x, y] = [mean(([at]) => at), mean(([, value]) => value)];
  const spread = kept.reduce((sum, [at]) => sum + (at - x) ** 2, 0);
  const perSecond = kept.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0) / spread;
  const left = kept.reduce((sum, [at, value]) => sum + (value - y - perSecond * (at - x)) ** 2, 0);
  const error = Math.sqrt(left / Math.max(1, kept.length - 2) / spread);
  return {
    perHour: perSecond * 3600,
    /** Standard error of the slope: what it could be by chance. */
    errorPerHour: error * 3600,
    low: Math.min(...kept.map(([, value]) => value)),
    high: Math.max(...points.map(([, value]) => value)),
    last: kept.at(-1)?.[1],
  };
}
