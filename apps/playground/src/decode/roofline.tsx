import type { Ceilings } from '../engine/ceilings.ts';
import { ceilings } from '../state.ts';
import { digits, si } from '../widgets/format.ts';
import { useWidth } from '../widgets/use-width.ts';
import { history, type Point, point } from './loop-state.ts';
import { Legend, Mark } from './marks.tsx';
import { PointsTable } from './points-table.tsx';
import { type Axes, between, decades, logAxis, rateRange, roofAt } from './roofs.ts';

const margin = { left: 62, right: 14, top: 26, bottom: 44 };
/** FLOP per byte: one head over bf16 rows has 1.9, 128 heads over FP8 rows have 400. */
const intensities = { low: 1, high: 1000 };

/** Where the loop stands under what the device can do, point by point as the sliders move. */
export function Roofline() {
  const [ref, width] = useWidth();
  const points = [...history.value, ...(point.value ? [point.value] : [])];
  return (
    <figure class="plot">
      <figcaption>Roofline: {captionOf(ceilings.value)}</figcaption>
      <div ref={ref}>{width > 0 && <Plot width={width} points={points} />}</div>
      {points.length > 0 && (
        <>
          <Legend layouts={[...new Set(points.map(({ settings }) => settings.layout))]} />
          <PointsTable points={points} />
        </>
      )}
    </figure>
  );
}

function captionOf(limits: Ceilings | undefined): string {
  if (limits === undefined) return 'the device’s ceilings are measured when the loop starts';
  const { flopsPerSecond, readBytesPerSecond, flopsOf } = limits;
  if (flopsPerSecond === undefined && readBytesPerSecond === undefined) {
    return 'this device cannot measure its ceilings';
  }
  return `ceilings as measured on this device${flopsOf ? ` (${flopsOf})` : ''}`;
}

function Plot({ width, points }: { readonly width: number; readonly points: readonly Point[] }) {
  const height = Math.round(Math.max(240, Math.min(380, width * 0.55)));
  const limits = ceilings.value;
  const rates = rateRange(
    limits,
    points.map(({ flopsPerSecond }) => flopsPerSecond),
  );
  const axes: Axes = {
    x: logAxis(intensities.low, intensities.high, margin.left, width - margin.right),
    y: logAxis(rates.low, rates.high, height - margin.bottom, margin.top),
  };
  const now = point.value;
  return (
    <svg
      class="roofline"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={describe(now, limits)}
    >
      <Grid axes={axes} width={width} height={height} />
      <Roofs axes={axes} limits={limits} />
      {history.value.map((each) => (
        <Mark key={JSON.stringify(each.settings)} axes={axes} point={each} />
      ))}
      {now && <Now axes={axes} point={now} limits={limits} />}
    </svg>
  );
}

function describe(now: Point | undefined, limits: Ceilings | undefined): string {
  if (now === undefined) return 'Roofline plot, empty until the loop runs';
  const roof = roofAt(limits, now.intensity);
  const share =
    roof === undefined ? '' : `, ${digits((100 * now.flopsPerSecond) / roof)} % of the roof`;
  return `Roofline plot: ${digits(now.intensity)} FLOP per byte at ${si(now.flopsPerSecond)}FLOP/s${share}`;
}

function Grid({ axes, width, height }: { axes: Axes; width: number; height: number }) {
  const { x, y } = axes;
  const bottom = height - margin.bottom;
  return (
    <g>
      <path
        class="grid fine"
        d={[
          ...between(x).map((value) => `M${x.at(value)} ${margin.top}V${bottom}`),
          ...between(y).map((value) => `M${margin.left} ${y.at(value)}H${width - margin.right}`),
        ].join('')}
      />
      {decades(x).map((value) => (
        <g key={value}>
          <path class="grid" d={`M${x.at(value)} ${margin.top}V${bottom}`} />
          <text x={x.at(value)} y={bottom + 16} text-anchor="middle">
            {value}
          </text>
        </g>
      ))}
      {decades(y).map((value) => (
        <g key={value}>
          <path class="grid" d={`M${margin.left} ${y.at(value)}H${width - margin.right}`} />
          <text x={margin.left - 8} y={y.at(value) + 4} text-anchor="end">
            {si(value).replace('.00', '').replace(/\.0 /, ' ')}
          </text>
        </g>
      ))}
      <text x={(margin.left + width - margin.right) / 2} y={height - 8} text-anchor="middle">
        FLOP per byte
      </text>
      <text x={margin.left - 8} y={14} text-anchor="end">
        FLOP/s
      </text>
    </g>
  );
}

function Roofs({ axes, limits }: { readonly axes: Axes; readonly limits: Ceilings | undefined }) {
  const { x, y } = axes;
  const { flopsPerSecond: peak, readBytesPerSecond: read } = limits ?? {};
  const ridge = peak !== undefined && read !== undefined ? peak / read : undefined;
  const right = x.at(x.high);
  const low = read === undefined ? x.low : Math.max(x.low, y.low / read);
  const end = Math.min(x.high, ridge ?? x.high);
  return (
    <g>
      {read !== undefined && end > low && (
        <>
          <path
            class="roof"
            d={`M${x.at(low)} ${y.at(low * read)}L${x.at(end)} ${y.at(end * read)}`}
          />
          <text
            class="roof-name"
            // Above the slope where there is room for it, else below.
            {...(x.at(end) - x.at(low) > 105
              ? { x: x.at(end) - 14, y: y.at(end * read) + 4, 'text-anchor': 'end' as const }
              : { x: x.at(low) + 10, y: y.at(low * read) + 4 })}
          >
            {`read ${si(read)}B/s`}
          </text>
        </>
      )}
      {peak !== undefined && (
        <>
          <path
            class="roof"
            d={`M${x.at(Math.max(x.low, ridge ?? x.low))} ${y.at(peak)}H${right}`}
          />
          <text class="roof-name" x={right} y={y.at(peak) - 7} text-anchor="end">
            {`multiply-add ${si(peak)}FLOP/s`}
          </text>
        </>
      )}
    </g>
  );
}

/** The configuration that runs, and the way from it up to its roof. Named where no point comes. */
function Now(props: {
  readonly axes: Axes;
  readonly point: Point;
  readonly limits: Ceilings | undefined;
}) {
  const { axes, point: at, limits } = props;
  const { layout, heads } = at.settings;
  const cx = axes.x.at(at.intensity);
  const roof = roofAt(limits, at.intensity);
  return (
    <g class="now">
      {roof !== undefined && (
        <path class="gap" d={`M${cx} ${axes.y.at(at.flopsPerSecond)}V${axes.y.at(roof)}`} />
      )}
      <Mark axes={axes} point={at} />
      <text x={axes.x.at(axes.x.high) - 8} y={axes.y.at(axes.y.low) - 10} text-anchor="end">
        {`${layout}, ${heads} ${heads === 1 ? 'head' : 'heads'}: ${si(at.flopsPerSecond)}FLOP/s`}
      </text>
    </g>
  );
}
