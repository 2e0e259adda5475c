import { useSignal } from '@preact/signals';
import { useEffect, useId, useMemo, useRef } from 'preact/hooks';
import type { CaseDetails, ErrorMapData, MapAgainst, MapSource } from '../engine/case-tasks.ts';
import { Choice } from '../widgets/choice.tsx';
import { scientific } from '../widgets/format.ts';
import { map, select, selection } from './case-state.ts';
import { heatOf, type MapSummary, paint } from './heat.ts';

const sourceNames: Readonly<Record<MapSource, string>> = {
  device: 'This device',
  flashmla: 'FlashMLA, H200',
};

const againstNames: Readonly<Record<MapAgainst, string>> = {
  reference: 'float64',
  expected: 'the file’s answer',
};

/** |error| of one query's output, heads down, columns across. */
export function ErrorMap({ details }: { readonly details: CaseDetails }) {
  const { sources, against, requests, queries, heads, columns } = details;
  const { source, request, query } = selection.value;
  return (
    <div class="error-map">
      <h3>Where the errors are: heads down, columns across</h3>
      <div class="map-controls">
        {sources.length > 1 && (
          <Choice
            label="Output of"
            name="source"
            value={source}
            options={sources.map((value) => ({ value, label: sourceNames[value] }))}
            onChange={(value) => void select({ source: value })}
          />
        )}
        {against.length > 1 && (
          <Choice
            label="Against"
            name="against"
            value={selection.value.against}
            options={against.map((value) => ({ value, label: againstNames[value] }))}
            onChange={(value) => void select({ against: value })}
          />
        )}
        {requests > 1 && (
          <Picker
            label="Request"
            count={requests}
            value={request}
            onChange={(value) => void select({ request: value })}
          />
        )}
        {queries > 1 && (
          <Picker
            label="Query"
            count={queries}
            value={query}
            onChange={(value) => void select({ query: value })}
          />
        )}
      </div>
      {map.value && (
        <Heat
          data={map.value}
          heads={heads}
          columns={columns}
          tolerance={details.tolerance}
          name={sourceNames[source]}
        />
      )}
    </div>
  );
}

interface PickerProps {
  readonly label: string;
  readonly count: number;
  readonly value: number;
  readonly onChange: (value: number) => void;
}

/** A number from 0 to `count` − 1. */
function Picker({ label, count, value, onChange }: PickerProps) {
  const id = useId();
  return (
    <span class="number">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="number"
        min={0}
        max={count - 1}
        value={value}
        onInput={(event) => {
          const wanted = event.currentTarget.valueAsNumber;
          if (Number.isInteger(wanted) && wanted >= 0 && wanted < count) onChange(wanted);
        }}
      />
      <small>of {count}</small>
    </span>
  );
}

interface HeatProps {
  readonly data: ErrorMapData;
  readonly heads: number;
  readonly columns: number;
  readonly tolerance: CaseDetails['tolerance'];
  readonly name: string;
}

function Heat({ data, heads, columns, tolerance, name }: HeatProps) {
  const ref = useRef<HTMLCanvasElement>(null);
  const probe = useSignal<number | undefined>(undefined);
  const { pixels, summary } = useMemo(
    () => paint(data.actual, data.expected, tolerance),
    [data, tolerance],
  );
  const place = Math.min(probe.value ?? summary.at, heads * columns - 1);
  const [head, column] = [Math.floor(place / columns), place % columns];
  useEffect(() => {
    const context = ref.current?.getContext('2d');
    context?.putImageData(new ImageData(pixels, columns, heads), 0, 0);
  }, [pixels, columns, heads]);
  const pointAt = (event: PointerEvent) => {
    const box = (event.currentTarget as HTMLCanvasElement).getBoundingClientRect();
    const part = (at: number, begin: number, size: number, n: number) =>
      Math.max(0, Math.min(n - 1, Math.floor(((at - begin) / size) * n)));
    const h = part(event.clientY, box.top, box.height, heads);
    probe.value = h * columns + part(event.clientX, box.left, box.width, columns);
  };
  return (
    <figure>
      <div class="map">
        <canvas
          ref={ref}
          width={columns}
          height={heads}
          class={heads > 32 ? 'tall' : heads > 8 ? '' : 'flat'}
          role="img"
          aria-label={`Map of the errors of ${name}: ${inWords(summary, heads, columns)}`}
          onPointerDown={pointAt}
          onPointerMove={pointAt}
        />
        <span
          class="aim"
          aria-hidden="true"
          style={{
            left: `${(100 * (column + 0.5)) / columns}%`,
            top: `${(100 * (head + 0.5)) / heads}%`,
          }}
        />
      </div>
      <figcaption>
        <span id="map-summary">{inWords(summary, heads, columns)}</span>
        <Legend tolerance={tolerance} />
      </figcaption>
      <div class="map-controls probe">
        <Picker
          label="Head"
          count={heads}
          value={head}
          onChange={(h) => {
            probe.value = h * columns + column;
          }}
        />
        <Picker
          label="Column"
          count={columns}
          value={column}
          onChange={(c) => {
            probe.value = head * columns + c;
          }}
        />
        <Element
          actual={data.actual[place] as number}
          expected={data.expected[place] as number}
          tolerance={tolerance}
        />
      </div>
    </figure>
  );
}

function inWords(
  { beyond, exact, largest, at }: MapSummary,
  heads: number,
  columns: number,
): string {
  const all = heads * columns;
  const share = `${Math.floor((100 * exact) / all)} % of ${all.toLocaleString('en')} exact`;
  const worst = `largest error ${scientific(largest)} at head ${Math.floor(at / columns)}, column ${at % columns}`;
  const outside = beyond === 0 ? 'none beyond the bounds' : `${beyond} beyond the bounds`;
  return largest === 0 ? `all ${all.toLocaleString('en')} exact` : `${worst}; ${share}; ${outside}`;
}

function Legend({ tolerance }: { readonly tolerance: CaseDetails['tolerance'] }) {
  return (
    <span class="legend">
      <span>≤ {scientific(tolerance.absolute / 1e4)}</span>
      <span class="ramp" aria-hidden="true" />
      <span>{scientific(tolerance.absolute)}, the bound</span>
      <span class="beyond">beyond it</span>
    </span>
  );
}

function Element(props: {
  readonly actual: number;
  readonly expected: number;
  readonly tolerance: CaseDetails['tolerance'];
}) {
  const { actual, expected, tolerance } = props;
  const passes = heatOf(actual, expected, tolerance) >= 0;
  const number = (value: number) => (Number.isFinite(value) ? value.toPrecision(5) : String(value));
  return (
    <output id="probe">
      {number(actual)}, expected {number(expected)}: off by{' '}
      {actual === expected ? '0' : scientific(Math.abs(actual - expected))}{' '}
      <span class={passes ? 'good' : 'bad'}>{passes ? '✓' : '✗'}</span>
    </output>
  );
}
