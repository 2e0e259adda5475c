import { digits } from '../widgets/format.ts';
import { useWidth } from '../widgets/use-width.ts';
import { trend } from './loop-state.ts';

const height = 44;

/** Tokens per second over the last samples: falls as requests grow, rises as they end. */
export function Trend() {
  const [ref, width] = useWidth();
  const rates = trend.value;
  const highest = Math.max(...rates);
  const last = rates.at(-1);
  return (
    <figure ref={ref} class="trend">
      {width > 0 && rates.length > 1 && last !== undefined && (
        <svg
          width={width}
          height={height}
          viewBox={`0 0 ${width} ${height}`}
          role="img"
          aria-label={`Tokens per second over time: ${digits(last)} now, ${digits(highest)} at most`}
        >
          <path class="area" d={`${line(rates, highest, width)}V${height}H0Z`} />
          <path class="line" d={line(rates, highest, width)} />
        </svg>
      )}
      {rates.length > 1 && <figcaption>Tokens per second over the last samples</figcaption>}
    </figure>
  );
}

function line(rates: readonly number[], highest: number, width: number): string {
  const points = rates.map((rate, i) => {
    const x = (i / (rates.length - 1)) * width;
    return `${x.toFixed(1)} ${(height - (rate / highest) * (height - 4)).toFixed(1)}`;
  });
  return `M${points.join('L')}`;
}
