import type { LoopLayout } from '../engine/decode/settings.ts';
import type { Point } from './loop-state.ts';
import type { Axes } from './roofs.ts';

/** Layouts differ by shape as well as by colour. */
function Shape({ layout, x, y }: { layout: LoopLayout; x: number; y: number }) {
  const shapes = {
    bf16: <circle cx={x} cy={y} r={5} />,
    v32: <rect x={x - 5} y={y - 5} width={10} height={10} />,
    model1: <path d={`M${x} ${y - 6}L${x + 6} ${y + 5}H${x - 6}Z`} />,
  };
  return <g class={`mark ${layout}`}>{shapes[layout]}</g>;
}

export function Mark({ axes, point: at }: { readonly axes: Axes; readonly point: Point }) {
  const [x, y] = [axes.x.at(at.intensity), axes.y.at(at.flopsPerSecond)];
  return <Shape layout={at.settings.layout} x={x} y={y} />;
}

/** Which shape is which layout. */
export function Legend({ layouts }: { readonly layouts: readonly LoopLayout[] }) {
  return (
    <p class="shapes">
      {layouts.map((layout) => (
        <span key={layout}>
          <svg width="14" height="14" aria-hidden="true">
            <Shape layout={layout} x={7} y={7} />
          </svg>{' '}
          {layout}
        </span>
      ))}
      <span class="note">filled: what runs now</span>
    </p>
  );
}
